using MatsObservability.ServiceDefaults;
using Microsoft.Extensions.Options;
using Phoenix.Service.Ingest.Forward;

namespace Phoenix.Service.Configuration;

/// <summary>Runs an application so that a mistake of its operator ends in plain lines and an exit code, never in a stack trace.</summary>
internal static class StartUp
{
    /// <summary>
    /// Exit code: 0 after an orderly stop, <see cref="ExitCodes.Settings"/> when what it was given cannot work, 1 when it could not start for
    /// another reason.
    /// </summary>
    public static async Task<int> RunAsync(Func<WebApplication> build)
    {
        try
        {
            await using var app = build();
            using var limit = StopLimit.Of(app, LongestStop(app.Services));
            var fatal = app.Services.GetRequiredService<FatalFault>();
            try
            {
                await app.RunAsync();
            }
            catch (OperationCanceledException) when (fatal.Message is not null)
            {
                // Declared while the start was still under way.
            }

            return fatal.Message is { } fault ? Fail([fault], ExitCodes.Settings) : 0;
        }
        catch (Exception exception) when (Explain(exception) is { Count: > 0 } lines)
        {
            return Fail(lines, IsOfSettings(exception) ? ExitCodes.Settings : 1);
        }
    }

    /// <summary>Requests under way and the writers have the drain time-out, forwarding has its own after that.</summary>
    private static TimeSpan LongestStop(IServiceProvider services)
    {
        var forward = services.GetRequiredService<IOptions<ForwardOptions>>().Value;
        return services.GetRequiredService<IOptions<HostOptions>>().Value.ShutdownTimeout
            + (forward.Endpoint.Length > 0 ? forward.DrainTimeout : TimeSpan.Zero) + TimeSpan.FromSeconds(3);
    }

    private static int Fail(IReadOnlyList<string> lines, int exitCode)
    {
        foreach (var line in lines)
        {
            Console.Error.WriteLine($"fatal: {line.ReplaceLineEndings(" ")}");
        }

        return exitCode;
    }

    private static bool IsOfSettings(Exception exception) => exception switch
    {
        AggregateException aggregate => aggregate.InnerExceptions.All(IsOfSettings),
        _ => exception is OptionsValidationException or StartUpException,
    };

    private static List<string> Explain(Exception exception) => exception switch
    {
        AggregateException aggregate => [.. aggregate.InnerExceptions.SelectMany(Explain)],
        OptionsValidationException options => [.. options.Failures],
        StartUpException fault => [fault.Message],
        IOException { InnerException: Microsoft.AspNetCore.Connections.AddressInUseException } bind =>
            [$"{bind.Message.TrimEnd('.')}. Stop the program that holds the port, or set another (PHOENIX_PORT, PHOENIX_GRPC_PORT, PHOENIX_OTLP_HTTP_PORT, PHOENIX_METRICS_PORT)."],
        System.Net.Sockets.SocketException bind => [$"cannot listen on the configured address (PHOENIX_HOST): {bind.Message}"],
        _ => [],
    };
}

/// <summary>A configuration that cannot work; the message names the key.</summary>
internal sealed class StartUpException(string message) : Exception(message);

/// <summary>
/// Set by a background part that finds, after the start, that the service can never work; the application then stops with
/// <see cref="ExitCodes.Settings"/>.
/// </summary>
internal sealed class FatalFault(IHostApplicationLifetime lifetime)
{
    /// <summary>What is wrong; null while nothing is.</summary>
    public string? Message { get; private set; }

    /// <summary>Stops the application because of <paramref name="message"/>; the first one wins.</summary>
    public void Declare(string message)
    {
        Message ??= message;
        lifetime.StopApplication();
    }
}
