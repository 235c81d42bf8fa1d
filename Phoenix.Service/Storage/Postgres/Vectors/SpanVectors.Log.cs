namespace Phoenix.Service.Storage.Postgres.Vectors;

internal sealed partial class SpanVectors
{
    private static partial class Log
    {
        [LoggerMessage(250, LogLevel.Information, "Vector search is on: extension vector {Version}, {Dimensions} dimensions.")]
        public static partial void On(ILogger logger, string version, int dimensions);

        [LoggerMessage(251, LogLevel.Information, "Vector search is off: {Reason}.")]
        public static partial void Off(ILogger logger, string reason);

        [LoggerMessage(252, LogLevel.Warning,
            "The extension vector {Version} has no hnsw index, which comes with 0.5.0; an ivfflat index is used.")]
        public static partial void NoHnsw(ILogger logger, string version);
    }
}
