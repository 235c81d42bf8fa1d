namespace Phoenix.Service.Listening;

/// <content>Log messages 1800 to 1899.</content>
internal sealed partial class TlsCertificates
{
    private static partial class Log
    {
        [LoggerMessage(1800, LogLevel.Information, "New connections get the certificate of {File}, valid until {NotAfter:u}")]
        public static partial void Loaded(ILogger logger, string file, DateTimeOffset notAfter);

        [LoggerMessage(1801, LogLevel.Warning,
            "The certificate of {File} is valid from {NotBefore:u} to {NotAfter:u}, not now: clients will refuse it. Replace the file, it is read again when it changes")]
        public static partial void NotValid(ILogger logger, string file, DateTimeOffset notBefore, DateTimeOffset notAfter);

        [LoggerMessage(1802, LogLevel.Error, "The changed certificate files cannot be used, the certificate before stays: {Reason}")]
        public static partial void Unusable(ILogger logger, string reason);
    }
}
