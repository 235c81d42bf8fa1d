using System.Globalization;
using Microsoft.Extensions.Options;
using Npgsql;
using Phoenix.Service.Storage.Postgres.Indexes;
using Phoenix.Service.Storage.Postgres.Readers;

namespace Phoenix.Service.Storage.Postgres.Vectors;

/// <summary>
/// A vector found: its span, which one of the span's it is, what it stands for, and how near it is (cosine, 1 = same direction).
/// </summary>
internal readonly record struct VectorMatch(SpanKey Span, int Position, string? Text, double Similarity);

/// <summary>
/// The table <c>span_vectors</c>: whether there is vector search at all, its index, and the search. Nearest neighbours come from the index,
/// which may miss some; when a narrow project or time leaves fewer than asked for, all of its vectors are compared, and then they are few.
/// Thread-safe.
/// </summary>
internal sealed partial class SpanVectors(NpgsqlDataSource dataSource, ReadLimits limits,
    IOptions<VectorOptions> options, ILogger<SpanVectors> logger)
{
    /// <summary>Up to here comparing with every vector takes milliseconds; an inverted list needs data to be made of as well.</summary>
    public const int LeastIndexed = 10_000;

    /// <summary>
    /// Lists of an ivfflat index, and how many of them a search looks into (docs/benchmarks.md has what it finds).
    /// </summary>
    private const int Lists = 100;

    private const int Probes = 10;
    private const string HnswParameters = "m = 16, ef_construction = 128";
    private const int HnswSearch = 64;
    private static readonly Version s_firstHnsw = new(0, 5, 0);

    private readonly VectorOptions _options = options.Value;

    /// <summary>Schema of the extension's type and operators, which the search path may lack.</summary>
    private volatile string? _schema;
    private VectorIndexKind _kind = options.Value.Index;

    /// <summary>Whether vectors are kept and can be searched for.</summary>
    public bool IsOn => _schema is not null;

    /// <summary>Why not, for people; null when they can.</summary>
    public string? WhyOff { get; private set; } = "the database is not ready yet";

    /// <summary>Numbers in a vector.</summary>
    public int Dimensions => _options.Dimensions;

    private string Type => $"{_schema}.vector";

    private string Compared => $"embedding::{Type}({Dimensions})";

    private string HasDimensions => $"{_schema}.vector_dims(embedding) = {Dimensions}";

    /// <summary>
    /// Looks for the extension, creates it where that is allowed, and completes the table. Idempotent; without the extension the feature is
    /// off, and that is all.
    /// </summary>
    public async Task PrepareAsync(CancellationToken cancellationToken)
    {
        if (!_options.Enabled)
        {
            WhyOff = $"{VectorOptions.Section}:{nameof(VectorOptions.Enabled)} is false";
            return;
        }

        try
        {
            await using var connection = await dataSource.OpenConnectionAsync(cancellationToken);
            await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
            await ExecuteAsync(connection, "SELECT pg_advisory_xact_lock(hashtextextended('mats.migrations.' || current_schema(), 0))",
                cancellationToken);
            if (!await ExistsAsync(connection, "pg_available_extensions WHERE name = 'vector'", cancellationToken))
            {
                WhyOff = "the PostgreSQL server does not have the extension 'vector' (pgvector)";
                Log.Off(logger, WhyOff);
                return;
            }

            await ExecuteAsync(connection, "CREATE EXTENSION IF NOT EXISTS vector", cancellationToken);
            await using var where = new NpgsqlCommand(
                "SELECT quote_ident(nspname), extversion FROM pg_extension JOIN pg_namespace n ON n.oid = extnamespace WHERE extname = 'vector'", connection);
            string found;
            string version;
            await using (var reader = await where.ExecuteReaderAsync(cancellationToken))
            {
                await reader.ReadAsync(cancellationToken);
                (found, version) = (reader.GetString(0), reader.GetString(1));
            }

            // Asked first: ALTER TABLE locks everybody out, and waits for an index that is being built, also when there is nothing to add.
            if (!await ExistsAsync(connection, "pg_attribute WHERE attrelid = 'span_vectors'::regclass AND attname = 'embedding' AND NOT attisdropped",
                cancellationToken))
            {
                await ExecuteAsync(connection, $"ALTER TABLE span_vectors ADD COLUMN embedding {found}.vector", cancellationToken);
            }

            await transaction.CommitAsync(cancellationToken);
            if (_kind == VectorIndexKind.Hnsw && (!Version.TryParse(version, out var parsed) || parsed < s_firstHnsw))
            {
                Log.NoHnsw(logger, version);
                _kind = VectorIndexKind.IvfFlat;
            }

            (_schema, WhyOff) = (found, null);
            Log.On(logger, version, Dimensions);
        }
        catch (PostgresException exception) when (!exception.IsTransient)
        {
            WhyOff = $"the extension 'vector' could not be made use of ({PostgresErrors.Describe(exception)})";
            Log.Off(logger, WhyOff);
        }
    }

    /// <summary>The index that the table shall have by now, if any.</summary>
    public async Task<IReadOnlyList<WantedIndex>> WantedAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        if (!IsOn)
        {
            return [];
        }

        var (method, parameters) = _kind == VectorIndexKind.Hnsw ? ("hnsw", HnswParameters) : ("ivfflat", $"lists = {Lists}");
        var definition = $"USING {method} (({Compared}) {_schema}.vector_cosine_ops) WITH ({parameters}) WHERE {HasDimensions}";
        var index = new WantedIndex(WantedIndex.NameOn("span_vectors", "vec", definition), "span_vectors", definition);
        await using var command = new NpgsqlCommand(
            $"SELECT to_regclass('{index.Name}') IS NOT NULL OR (SELECT count(*) >= {LeastIndexed} FROM (SELECT FROM span_vectors WHERE {HasDimensions} LIMIT {LeastIndexed}) AS v)", connection);
        return (bool)(await command.ExecuteScalarAsync(cancellationToken))! ? [index] : [];
    }

    /// <summary>
    /// The statement that notes in the transaction of their spans that <paramref name="traces"/> hold vectors; null when there are none, or
    /// nowhere to keep them.
    /// </summary>
    public NpgsqlBatchCommand? Note(IReadOnlyList<TraceDelta> traces)
    {
        if (!IsOn || !traces.Any(static trace => trace.HasEmbeddings))
        {
            return null;
        }

        var noted = traces.Where(static trace => trace.HasEmbeddings).ToList();
        return new NpgsqlBatchCommand(
            "INSERT INTO vector_pending (project_id, trace_id, start_ns, last_ns) SELECT * FROM unnest($1, $2, $3, $4)")
        {
            Parameters =
            {
                new NpgsqlParameter<int[]> { TypedValue = [.. noted.Select(static trace => trace.ProjectId)] },
                new NpgsqlParameter<Guid[]> { TypedValue = [.. noted.Select(static trace => trace.TraceId)] },
                new NpgsqlParameter<long[]> { TypedValue = [.. noted.Select(static trace => trace.StartNanos)] },
                new NpgsqlParameter<long[]> { TypedValue = [.. noted.Select(static trace => trace.EndNanos)] },
            },
        };
    }

    /// <summary>SQL that does the same for the spans in <paramref name="table"/>; empty when there is nowhere to keep vectors.</summary>
    public string NoteSql(string table) => !IsOn ? string.Empty : $"""
        ; INSERT INTO vector_pending (project_id, trace_id, start_ns, last_ns)
            SELECT project_id, trace_id, min(start_ns), max(start_ns) FROM {table} WHERE span_kind = {EmbeddingReader.SpanKind} GROUP BY 1, 2
        """;

    /// <summary>Stores vectors; those stored already stay as they are.</summary>
    public async Task AddAsync(NpgsqlConnection connection, IReadOnlyList<(int ProjectId, SpanKey Span, Embedding Embedding)> vectors,
        CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(string.Empty, connection);
        command.CommandText = $"""
            INSERT INTO span_vectors (project_id, start_ns, trace_id, span_id, position, text, embedding)
            SELECT project_id, start_ns, trace_id, span_id, position, text, embedding::{Type}
            FROM unnest({command.Bind(vectors.Select(row => row.ProjectId).ToArray())}, {command.Bind(vectors.Select(row => row.Span.StartNanos).ToArray())},
                {command.Bind(vectors.Select(row => row.Span.TraceId).ToArray())}, {command.Bind(vectors.Select(row => row.Span.SpanId).ToArray())},
                {command.Bind(vectors.Select(row => row.Embedding.Position).ToArray())}, {command.Bind(vectors.Select(row => row.Embedding.Text).ToArray())},
                {command.Bind(vectors.Select(row => row.Embedding.Vector).ToArray())})
                AS added (project_id, start_ns, trace_id, span_id, position, text, embedding)
            ON CONFLICT DO NOTHING
            """;
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <summary>
    /// The vectors of a project's spans with start in [start, end) nearest to <paramref name="vector"/>, the nearest first, at most
    /// <paramref name="limit"/>, none less similar than
    /// <paramref name="threshold"/>. <see cref="IsOn"/> must hold, and the vector must have <see cref="Dimensions"/> finite numbers.
    /// </summary>
    public async Task<List<VectorMatch>> SearchAsync(
        int projectId, long startNanos, long endNanos, float[] vector, int limit, double threshold, CancellationToken cancellationToken)
    {
        await using var connection = await dataSource.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        // The planner does not see what it costs to fetch vectors that lie outside of their rows, and would rather sort all of them; jit
        // looks at that bar's cost.
        await ExecuteAsync(
            connection, $"SET LOCAL enable_sort = off; SET LOCAL jit = off; SET LOCAL ivfflat.probes = {Probes}; SET LOCAL hnsw.ef_search = {Math.Max(HnswSearch, limit)}", cancellationToken);
        var found = await NearestAsync(string.Empty);
        if (found.Count < limit)
        {
            // The index orders by the bare distance; by a sum it cannot.
            found = await NearestAsync(" + 0");
        }

        found.RemoveAll(match => match.Similarity < threshold);
        return found;

        async Task<List<VectorMatch>> NearestAsync(string exactly)
        {
            await using var command = new NpgsqlCommand(string.Empty, connection)
            {
                CommandTimeout = (int)Math.Ceiling(limits.StatementTimeout.TotalSeconds),
            };
            var text = $"[{string.Join(',', vector.Select(static number => number.ToString("R", CultureInfo.InvariantCulture)))}]";
            command.CommandText = $"""
                SELECT start_ns, trace_id, span_id, position, text, {Compared} OPERATOR({_schema}.<=>) {command.Bind(text)}::{Type}({Dimensions}) AS distance
                FROM span_vectors WHERE {HasDimensions} AND project_id = {command.Bind(projectId)} AND start_ns >= {command.Bind(startNanos)} AND start_ns < {command.Bind(endNanos)}
                ORDER BY ({Compared} OPERATOR({_schema}.<=>) $1::{Type}({Dimensions})){exactly} LIMIT {command.Bind(limit)}
                """;
            var matches = new List<VectorMatch>();
            await using var reader = await command.ExecuteReaderAsync(cancellationToken);
            while (await reader.ReadAsync(cancellationToken))
            {
                matches.Add(new VectorMatch(
                    new SpanKey(reader.GetInt64(0), reader.GetGuid(1), reader.GetInt64(2)), reader.GetInt32(3),
                    reader.TextOrNull(4), 1 - reader.GetDouble(5)));
            }

            return matches;
        }
    }

    private static async Task<bool> ExistsAsync(NpgsqlConnection connection, string from, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand($"SELECT EXISTS (SELECT FROM {from})", connection);
        return (bool)(await command.ExecuteScalarAsync(cancellationToken))!;
    }

    private static async Task ExecuteAsync(NpgsqlConnection connection, string text, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(text, connection);
        await command.ExecuteNonQueryAsync(cancellationToken);
    }
}
