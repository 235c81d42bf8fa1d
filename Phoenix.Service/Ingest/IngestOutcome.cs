using System.IO.Pipelines;
using Phoenix.Service.Metrics;
using Phoenix.Service.Storage;

namespace Phoenix.Service.Ingest;

/// <summary>How an export request ended; each transport maps it to its own status in one place.</summary>
internal enum IngestStatus
{
    /// <summary>Durable. Some records may have been rejected one by one.</summary>
    Accepted,

    /// <summary>The caller's bytes are broken; a retry is useless.</summary>
    Malformed,

    /// <summary>The body is larger than <see cref="IngestOptions.MaxRequestBytes"/>, before or after decompression.</summary>
    TooLarge,

    /// <summary>A compression or framing the service does not speak.</summary>
    Unsupported,

    /// <summary>The queue or the memory is full; retry after the hint.</summary>
    Busy,

    /// <summary>The database is unreachable, full, or not ready; retry after the hint.</summary>
    Unavailable,

    /// <summary>The sender's own deadline passed before the commit; a retry is safe.</summary>
    DeadlineExceeded,

    /// <summary>The sender went away, or sent too slowly.</summary>
    Aborted,
}

/// <summary>The answer to one export request.</summary>
/// <param name="Status">How it ended.</param>
/// <param name="Message">Why, for people; null when accepted whole.</param>
/// <param name="Rejected">Records left out of an accepted request.</param>
/// <param name="RetryAfter">When a retry makes sense; null when it does not.</param>
internal readonly record struct IngestOutcome(IngestStatus Status, string? Message = null, int Rejected = 0, TimeSpan? RetryAfter = null);

/// <summary>One export request as a transport hands it over.</summary>
internal sealed class IngestRequest
{
    /// <summary>What the records are.</summary>
    public required Signal Signal { get; init; }

    /// <summary>How it came.</summary>
    public required IngestTransport Transport { get; init; }

    /// <summary>The body, not yet read.</summary>
    public required PipeReader Body { get; init; }

    /// <summary>Length the sender announced; null when it announced none.</summary>
    public long? ContentLength { get; init; }

    /// <summary>Compression of the body, or with gRPC of its message: null or empty = none.</summary>
    public string? Encoding { get; init; }

    /// <summary>True for OTLP/JSON.</summary>
    public bool IsJson { get; init; }

    /// <summary>True when the body is one gRPC message behind its five-byte prefix.</summary>
    public bool IsGrpcFrame { get; init; }

    /// <summary>Project of the whole request (header x-project-name); null = as the resources say.</summary>
    public string? ProjectName { get; init; }

    /// <summary>The services it came through (header Via, RFC 9110); null = none that said so.</summary>
    public string? Via { get; init; }

    /// <summary>The sender's own deadline from now; null = none.</summary>
    public TimeSpan? Timeout { get; init; }
}
