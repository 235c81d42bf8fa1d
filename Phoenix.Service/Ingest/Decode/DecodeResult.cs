using Phoenix.Service.Storage;

namespace Phoenix.Service.Ingest.Decode;

/// <summary>
/// What a decoder made of one export request; exactly one member is set. <see cref="Error"/> names the field and offset of a malformed body
/// (HTTP 400, INVALID_ARGUMENT). <see cref="UnknownProjects"/> are names to create before the same body is decoded again.
/// The receiver owns <see cref="Batch"/> and disposes it once.
/// </summary>
internal readonly record struct DecodeResult(TelemetryBatch? Batch, string? Error, IReadOnlyCollection<string>? UnknownProjects)
{
    /// <summary>The decoded request.</summary>
    public static DecodeResult Decoded(TelemetryBatch batch) => new(batch, null, null);

    /// <summary>A body that is not a valid message.</summary>
    public static DecodeResult Malformed(string error) => new(null, error, null);

    /// <summary>Projects the lookup does not know yet.</summary>
    public static DecodeResult MissingProjects(IReadOnlyCollection<string> names) => new(null, null, names);
}

/// <summary>The id of a project by name, without I/O; false when the name is not known (yet).</summary>
internal delegate bool ProjectLookup(string name, out int id);
