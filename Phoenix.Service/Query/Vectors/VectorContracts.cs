using System.Text.Json.Serialization;
using Phoenix.Service.Query.Http;
using Phoenix.Service.Storage;
using Phoenix.Service.Storage.Postgres.Vectors;

namespace Phoenix.Service.Query.Vectors;

/// <summary>The body of a search; what is left out has the documented default.</summary>
internal sealed record VectorSearch(
    float[]? Vector, int? Limit, double? Threshold, string? StartTime, string? EndTime, long? StartTimeUnixNano, long? EndTimeUnixNano);

/// <summary>A vector found: the similarity is the cosine; position and text are those of <c>embedding.embeddings.N</c>.</summary>
internal sealed record VectorMatchData(double Similarity, int Position, string? Text, VectorSpanData Span)
{
    /// <summary>From what the search found.</summary>
    public static VectorMatchData From(VectorMatch match) => new(
        match.Similarity, match.Position, match.Text, new VectorSpanData(
            GlobalId.FormatSpan(match.Span.TraceId, match.Span.SpanId),
            new VectorSpanContext(TelemetryIds.FormatTrace(match.Span.TraceId), TelemetryIds.FormatSpan(match.Span.SpanId)),
            IsoTime.Format(match.Span.StartNanos)));
}

/// <summary>Which span a vector belongs to.</summary>
internal sealed record VectorSpanData(string Id, VectorSpanContext Context, string StartTime);

/// <summary>Its OTLP ids in hex.</summary>
internal sealed record VectorSpanContext(string TraceId, string SpanId);

/// <summary>What a search found, the nearest first.</summary>
internal sealed record VectorMatchList(IReadOnlyList<VectorMatchData> Data);

/// <summary>JSON of the slice.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(VectorSearch))]
[JsonSerializable(typeof(VectorMatchList))]
internal sealed partial class VectorJsonContext : JsonSerializerContext;
