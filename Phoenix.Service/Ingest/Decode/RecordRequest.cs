using Phoenix.Service.Storage;

namespace Phoenix.Service.Ingest.Decode;

/// <summary>
/// One export request of any signal on its way into a batch: a list of resources, each with a list of scopes, each with a list of records.
/// 1. every resource: interned, project found; 2. every scope: interned; 3. every record: <see cref="TryDecodeRecord"/>. Structurally
/// broken bytes anywhere make the whole body malformed; a well-formed record that cannot be stored is left out and counted.
/// </summary>
internal abstract class RecordRequest(
    TelemetryBatch batch, ProjectLookup projects, ResourceInterner interner, DecodeOptions options,
    string? projectOverride, string recordName)
{
    /// <summary>Most projects one request may bring into being: projects stay until somebody deletes them.</summary>
    public const int MaxNewProjects = 100;

    private const long NanosPerDay = 86_400_000_000_000;

    // Records of two bytes become rows of a hundred: a request made of them must not grow without bound. Ordinary ones about double.
    private const long GrowthLimit = 8;
    private const long AlwaysTakenBytes = 64 * 1024 * 1024;
    private const long MostBytes = 1024 * 1024 * 1024;

    private int _resourceIndex;
    private int _scopeIndex;
    private int _recordIndex;
    private int _recordOffset;
    private int _lastDay = int.MinValue;
    private CopyRows? _lastRows;
    private long _otherDaysBytes;
    private long _mostBytes;
    private long _besideRowsBytes;
    private int _newProjects;
    private bool _isProjectRefused;
    private bool _areOwnersReferred;

    /// <summary>The batch that takes the rows.</summary>
    protected TelemetryBatch Batch { get; } = batch;

    /// <summary>Resource of the records under way.</summary>
    protected ResourceEntry Resource { get; private set; } = null!;

    /// <summary>Scope of the records under way.</summary>
    protected InternedScope Scope { get; private set; } = null!;

    /// <summary>Project of the records under way.</summary>
    protected int ProjectId { get; private set; }

    /// <summary>Projects to create first; null when all are known.</summary>
    public HashSet<string>? UnknownProjects { get; private set; }

    /// <summary>What is wrong with the body; set when <see cref="TryDecode"/> is false.</summary>
    public string? Error { get; private set; }

    /// <summary>
    /// Decodes one body; the batch is disposed unless the result holds it. Of more unknown projects than <paramref name="newProjects"/>
    /// the records are rejected.
    /// </summary>
    public DecodeResult Decode(ReadOnlySpan<byte> body, int newProjects)
    {
        _newProjects = newProjects;
        _mostBytes = Math.Clamp(body.Length * GrowthLimit, AlwaysTakenBytes, MostBytes);
        var decoded = TryDecode(body);
        if (decoded && UnknownProjects is null)
        {
            foreach (var day in Batch.Days)
            {
                Batch.RecordCount += day.Rows.RowCount;
                Batch.ByteCount += day.Rows.Written.Length;
            }

            Batch.ByteCount += _besideRowsBytes;
            return DecodeResult.Decoded(Batch);
        }

        Batch.Dispose();
        return decoded ? DecodeResult.MissingProjects(UnknownProjects!) : DecodeResult.Malformed(Error!);
    }

    /// <summary>Encodes one record; false when it breaks the encoding.</summary>
    protected abstract bool TryDecodeRecord(ReadOnlySpan<byte> message);

    /// <summary>Called for each resource whose records follow; <paramref name="project"/> is the name of their project.</summary>
    protected virtual void EnterResource(string project)
    {
    }

    /// <summary>Whether a record of that time, given by <paramref name="field"/>, fits into the batch; otherwise it is rejected.</summary>
    protected bool Takes(long timeNanos, string field)
    {
        if (_isProjectRefused)
        {
            Reject($"openinference.project.name names one project more than the {MaxNewProjects} new ones a request may bring");
            return false;
        }

        if (_otherDaysBytes + (_lastRows?.Written.Length ?? 0) > _mostBytes)
        {
            Reject($"the rows of the request take more than {_mostBytes} bytes: send fewer records at once");
            return false;
        }

        if (Batch.CanTake((int)(timeNanos / NanosPerDay)))
        {
            if (!_areOwnersReferred)
            {
                ReferOwners();
            }

            return true;
        }

        Reject($"{field} lies on one day more than the {TelemetryBatch.MaxDays} a request may span");
        return false;
    }

    /// <summary>Adds project, resource and scope of a record to the batch: without records they are not stored.</summary>
    private void ReferOwners()
    {
        _areOwnersReferred = true;
        Batch.Refer(ProjectId);
        if (Batch.Refer(Resource.Row))
        {
            Spend(Resource.Row.ByteCount);
        }

        if (Batch.Refer(Scope))
        {
            Spend(Scope.ByteCount);
        }
    }

    /// <summary>Counts <paramref name="bytes"/> that the batch holds beside its rows.</summary>
    protected void Spend(long bytes)
    {
        _besideRowsBytes += bytes;
        _otherDaysBytes += bytes;
    }

    /// <summary>The rows of the day of <paramref name="timeNanos"/>.</summary>
    protected CopyRows RowsFor(long timeNanos)
    {
        var day = (int)(timeNanos / NanosPerDay);
        if (day != _lastDay || _lastRows is null)
        {
            (_lastDay, _lastRows) = (day, Batch.RowsFor(day));
            _otherDaysBytes = _besideRowsBytes - _lastRows.Written.Length;
            foreach (var entry in Batch.Days)
            {
                _otherDaysBytes += entry.Rows.Written.Length;
            }
        }

        return _lastRows;
    }

    /// <summary>Notes that <paramref name="part"/> of the record under way is not stored.</summary>
    protected void LeaveOut(ReadOnlySpan<byte> record, ReadOnlySpan<byte> part)
    {
        if (!part.IsEmpty)
        {
            Batch.LeaveOut(_recordOffset + record.OffsetOf(part));
        }
    }

    /// <summary>Leaves a record out and says why.</summary>
    protected void Reject(string reason, int count = 1)
    {
        Batch.RejectedCount += count;
        Batch.RejectionMessage ??= $"{Where()}: {reason}";
    }

    private bool TryDecode(ReadOnlySpan<byte> body)
    {
        var reader = new ProtobufReader(body);
        while (!reader.AtEnd)
        {
            var start = reader.Position;
            if (!reader.TryReadTag(out var tag))
            {
                return Malformed("the request", start);
            }

            if (tag != ((ExportFields.RequestResources << 3) | WireType.Bytes))
            {
                if (!reader.TrySkip(tag))
                {
                    return Malformed("the request", start);
                }

                continue;
            }

            if (!reader.TryReadBytes(out var message))
            {
                return Malformed($"resource_{recordName}[{_resourceIndex}], which is cut short,", start);
            }

            if (!TryDecodeResource(body, message))
            {
                return false;
            }

            _resourceIndex++;
        }

        return true;
    }

    private bool TryDecodeResource(ReadOnlySpan<byte> body, ReadOnlySpan<byte> message)
    {
        if (!TryReadEnvelope(message, out var resource, out var schemaUrl) || interner.Resource(resource, schemaUrl) is not { } entry)
        {
            return Malformed($"resource_{recordName}[{_resourceIndex}]", body.OffsetOf(message));
        }

        var project = projectOverride ?? entry.ProjectName ?? options.DefaultProject;
        _isProjectRefused = false;
        if (!projects(project, out var projectId))
        {
            if (UnknownProjects is { } unknown ? unknown.Count < _newProjects || unknown.Contains(project) : _newProjects > 0)
            {
                (UnknownProjects ??= new HashSet<string>(StringComparer.Ordinal)).Add(project);
                return true;
            }

            _isProjectRefused = true;
        }

        (Resource, ProjectId, _scopeIndex) = (entry, projectId, 0);
        EnterResource(project);
        var reader = new ProtobufReader(message);
        while (!reader.AtEnd)
        {
            reader.TryReadTag(out var tag);
            if (tag != ((ExportFields.ResourceScopes << 3) | WireType.Bytes))
            {
                reader.TrySkip(tag);
                continue;
            }

            reader.TryReadBytes(out var scope);
            if (!TryDecodeScope(body, scope))
            {
                return false;
            }

            _scopeIndex++;
        }

        return true;
    }

    private bool TryDecodeScope(ReadOnlySpan<byte> body, ReadOnlySpan<byte> message)
    {
        if (!TryReadEnvelope(message, out var scope, out var schemaUrl) || interner.Scope(scope, schemaUrl) is not { } row)
        {
            return Malformed($"resource_{recordName}[{_resourceIndex}].scope_{recordName}[{_scopeIndex}]", body.OffsetOf(message));
        }

        (Scope, _recordIndex, _areOwnersReferred) = (row, 0, false);

        var reader = new ProtobufReader(message);
        while (!reader.AtEnd)
        {
            reader.TryReadTag(out var tag);
            if (tag != ((ExportFields.ScopeRecords << 3) | WireType.Bytes))
            {
                reader.TrySkip(tag);
                continue;
            }

            reader.TryReadBytes(out var record);
            var leftOut = Batch.LeftOutCount;
            _recordOffset = body.OffsetOf(record);
            if (!TryDecodeRecord(record))
            {
                return Malformed(Where(), _recordOffset);
            }

            // Of a metric only some points may be left out.
            if (Batch.LeftOutCount != leftOut && Batch.Signal != Signal.MetricPoints)
            {
                LeaveOut(record, record);
            }

            _recordIndex++;
        }

        return true;
    }

    /// <summary>
    /// The first and third field of a resource's or scope's message: both may follow the list between them, so the whole message is walked
    /// once before its list is decoded; false when it breaks the encoding.
    /// </summary>
    private static bool TryReadEnvelope(ReadOnlySpan<byte> message, out ReadOnlySpan<byte> owner, out ReadOnlySpan<byte> schemaUrl)
    {
        owner = schemaUrl = default;
        var reader = new ProtobufReader(message);
        while (!reader.AtEnd)
        {
            if (!reader.TryReadTag(out var tag)
                || !(tag switch
                {
                    (ExportFields.ResourceResource << 3) | WireType.Bytes => reader.TryReadBytes(out owner),
                    (ExportFields.ResourceSchemaUrl << 3) | WireType.Bytes => reader.TryReadBytes(out schemaUrl),
                    _ => reader.TrySkip(tag),
                }))
            {
                return false;
            }
        }

        return true;
    }

    private string Where() =>
        $"resource_{recordName}[{_resourceIndex}].scope_{recordName}[{_scopeIndex}].{(recordName == "logs" ? "log_records" : recordName)}[{_recordIndex}]";

    private bool Malformed(string where, int offset)
    {
        Error ??= $"Malformed protobuf in {where} at byte {offset}.";
        return false;
    }
}
