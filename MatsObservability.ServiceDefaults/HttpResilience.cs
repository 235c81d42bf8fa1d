using System.Collections.Concurrent;
using System.Net;
using Microsoft.Extensions.Options;
using Polly;
using Polly.CircuitBreaker;
using Polly.Retry;
using Polly.Timeout;

namespace MatsObservability.ServiceDefaults;

/// <summary>Marks on a request that the resilience handler reads.</summary>
public static class HttpResilienceRequest
{
    private static readonly HttpRequestOptionsKey<bool> s_retryable = new("MatsObservability.Retryable");

    /// <summary>Says that sending this request twice does no harm, though its method is not idempotent. Its content is buffered.</summary>
    public static HttpRequestMessage MarkRetryable(this HttpRequestMessage request)
    {
        request.Options.Set(s_retryable, true);
        return request;
    }

    internal static bool IsRetryable(this HttpRequestMessage request) =>
        request.Method == HttpMethod.Get || request.Method == HttpMethod.Head || request.Method == HttpMethod.Options
        || request.Method == HttpMethod.Put || request.Method == HttpMethod.Delete || request.Method == HttpMethod.Trace
        || (request.Options.TryGetValue(s_retryable, out var marked) && marked);
}

/// <summary>
/// One pipeline per authority, shared by all clients: total timeout, retry, circuit breaker, attempt timeout, outermost first.
/// </summary>
internal sealed class HttpResilience(IOptions<HttpResilienceOptions> options, TimeProvider time)
{
    private readonly ConcurrentDictionary<string, ResiliencePipeline<HttpResponseMessage>> _pipelines = new(
        StringComparer.OrdinalIgnoreCase);

    public static ResiliencePropertyKey<HttpRequestMessage> RequestKey { get; } = new("MatsObservability.Request");

    public ResiliencePipeline<HttpResponseMessage> For(HttpRequestMessage request) =>
        _pipelines.GetOrAdd(request.RequestUri?.GetLeftPart(UriPartial.Authority) ?? "", _ => Build(options.Value));

    private ResiliencePipeline<HttpResponseMessage> Build(HttpResilienceOptions limits)
    {
        var builder = new ResiliencePipelineBuilder<HttpResponseMessage> { TimeProvider = time };
        builder.AddTimeout(limits.TotalTimeout);
        if (limits.MaxRetries > 0)
        {
            builder.AddRetry(new RetryStrategyOptions<HttpResponseMessage>
            {
                MaxRetryAttempts = limits.MaxRetries,
                Delay = limits.RetryDelay,
                BackoffType = DelayBackoffType.Exponential,
                UseJitter = true,
                ShouldHandle = arguments => ValueTask.FromResult(
                    IsTransient(arguments.Outcome)
                    && arguments.Context.Properties.TryGetValue(RequestKey, out var request) && request.IsRetryable()),
                DelayGenerator = arguments => ValueTask.FromResult(RetryAfter(arguments.Outcome.Result)),
                OnRetry = static arguments =>
                {
                    arguments.Outcome.Result?.Dispose();
                    return default;
                },
            });
        }

        return builder
            .AddCircuitBreaker(new CircuitBreakerStrategyOptions<HttpResponseMessage>
            {
                FailureRatio = limits.CircuitFailureRatio,
                MinimumThroughput = limits.CircuitMinimumRequests,
                SamplingDuration = limits.CircuitWindow,
                BreakDuration = limits.CircuitPause,
                ShouldHandle = static arguments => ValueTask.FromResult(IsTransient(arguments.Outcome)),
            })
            .AddTimeout(limits.AttemptTimeout)
            .Build();
    }

    private static bool IsTransient(Outcome<HttpResponseMessage> outcome) => outcome switch
    {
        { Exception: HttpRequestException or TimeoutRejectedException } => true,
        { Result.StatusCode: HttpStatusCode.RequestTimeout or HttpStatusCode.TooManyRequests } => true,
        { Result.StatusCode: >= HttpStatusCode.InternalServerError } => true,
        _ => false,
    };

    private TimeSpan? RetryAfter(HttpResponseMessage? response)
    {
        var delay = response?.Headers.RetryAfter switch
        {
            { Delta: { } delta } => delta,
            { Date: { } date } => date - time.GetUtcNow(),
            _ => (TimeSpan?)null,
        };
        return delay > TimeSpan.Zero ? delay : null;
    }
}

/// <summary>
/// Runs a request in its authority's pipeline. A timeout surfaces as the <see cref="TimeoutException"/> inside a cancellation, as
/// HttpClient's own.
/// </summary>
internal sealed class HttpResilienceHandler(HttpResilience resilience) : DelegatingHandler
{
    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        if (request.Content is { } content && request.IsRetryable())
        {
            await content.LoadIntoBufferAsync(cancellationToken);
        }

        var context = ResilienceContextPool.Shared.Get(cancellationToken);
        context.Properties.Set(HttpResilience.RequestKey, request);
        try
        {
            return await resilience.For(request).ExecuteAsync(
                static async (context, state) => await state.Handler.SendBaseAsync(state.Request, context.CancellationToken),
                context,
                (Handler: this, Request: request));
        }
        catch (TimeoutRejectedException timeout)
        {
            throw new TaskCanceledException(
                $"{request.Method} {request.RequestUri?.GetLeftPart(UriPartial.Authority)} gave no answer within {timeout.Timeout}.",
                new TimeoutException(timeout.Message, timeout));
        }
        catch (BrokenCircuitException open)
        {
            throw new HttpRequestException(
                $"{request.RequestUri?.GetLeftPart(UriPartial.Authority)} failed too often; requests to it are held back for a moment.",
                open);
        }
        finally
        {
            ResilienceContextPool.Shared.Return(context);
        }
    }

    private Task<HttpResponseMessage> SendBaseAsync(HttpRequestMessage request, CancellationToken cancellationToken) =>
        base.SendAsync(request, cancellationToken);
}
