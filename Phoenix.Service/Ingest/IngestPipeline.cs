using System.Buffers.Binary;
using Microsoft.Extensions.Options;
using Phoenix.Service.Ingest.Decode;
using Phoenix.Service.Ingest.Enqueue;
using Phoenix.Service.Ingest.Forward;
using Phoenix.Service.Ingest.Receive;
using Phoenix.Service.Metrics;
using Phoenix.Service.Storage;
using Phoenix.Service.Storage.Postgres;

namespace Phoenix.Service.Ingest;

/// <summary>The way of an export request, the same for every transport and signal.</summary>
/// <remarks>
/// 1. Admission: while the database is not ready or takes no writes, the queue is full or memory short, the request is refused before its
/// body is read.
/// 2. Receive: the body goes into one pooled buffer, under the size limit.
/// 3. Inflate: a compressed body is replaced by its content, under the same limit.
/// 4. Transcode: OTLP/JSON becomes protobuf.
/// 5. Decode and normalise: bytes become COPY rows; projects seen for the first time are created.
/// 6. Enqueue: a writer takes it from here.
/// 7. Wait: the answer is given after the commit, or when the deadline passes.
/// 8. Forward, where that is on: what is stored is handed to <see cref="Forwarder"/>, which sends it on after the answer.
/// No exception crosses <see cref="RunAsync"/> but those of bugs.
/// </remarks>
internal sealed partial class IngestPipeline(
    IngestQueue queue, Decoders decoders, ProjectDirectory projects, DatabaseState database, IngestMetrics metrics,
    IOptions<IngestOptions> options, TimeProvider time, ILogger<IngestPipeline> logger, Forwarder? forwarder = null)
{
    private const int GrpcPrefixBytes = 5;

    // A project just created can be deleted by somebody else before the body is decoded again; not for ever.
    private const int ProjectRounds = 3;

    /// <summary>Takes in one request; the outcome is final and true: <see cref="IngestStatus.Accepted"/> means durable.</summary>
    public async ValueTask<IngestOutcome> RunAsync(IngestRequest request, CancellationToken aborted)
    {
        var started = time.GetTimestamp();
        IngestQueue.Reservation? reservation = null;
        ForwardRequest? forward = null;
        try
        {
            // 1. Admission.
            if (!database.IsReady)
            {
                return Unavailable(database.Waiting);
            }

            if (database.RefusedNow is { } refused)
            {
                return Unavailable(refused);
            }

            reservation = queue.TryAdmit(out var refusal);
            if (reservation is null)
            {
                return Busy(request, refusal!);
            }

            // 2. Receive. 3. Inflate. 4. Transcode. 5. Decode.
            var intake = await TakeInAsync(request, reservation, aborted);
            if (intake.Batch is not { } batch)
            {
                return intake.Fault;
            }

            forward = intake.Forward;

            if (request.Signal == Signal.Spans)
            {
                metrics.ObserveRequest(batch.RecordCount, request.ContentLength);
            }

            // 6. Enqueue.
            var (rejected, message, records) = (batch.RejectedCount, batch.RejectionMessage, batch.RecordCount);
            var (sampledOut, filtered) = (batch.SampledOutCount, batch.FilteredCount);
            if (records == 0)
            {
                batch.Dispose();
                Count(request, started, accepted: 0, duplicates: 0, rejected, sampledOut, filtered);
                return new IngestOutcome(IngestStatus.Accepted, message, rejected);
            }

            reservation.Settle(batch.ByteCount + (forward?.Bytes ?? 0), records);
            var pending = new PendingBatch(batch, reservation, time.GetTimestamp());
            if (!queue.TryEnqueue(pending))
            {
                pending.Complete(default);
                return Unavailable("the service is stopping");
            }

            reservation = null;

            // 7. Wait.
            var written = await WaitAsync(pending, request, aborted);
            if (written is not { } result)
            {
                return request.Timeout < options.Value.RequestTimeout
                    ? new IngestOutcome(IngestStatus.DeadlineExceeded, "the request's deadline passed before its records were stored")
                    : Unavailable("the records could not be stored in time");
            }

            if (result.Status == WriteStatus.ProjectGone)
            {
                return new IngestOutcome(IngestStatus.Unavailable, result.Message, RetryAfter: options.Value.BusyRetryDelay);
            }

            if (result.Status != WriteStatus.Stored)
            {
                return Unavailable(result.Message!);
            }

            // 8. Forward.
            if (forward is not null)
            {
                forwarder!.Enqueue(forward);
                forward = null;
            }

            Count(
                request, started, records - result.Duplicates - result.Rejected, result.Duplicates, rejected + result.Rejected, sampledOut,
                filtered);
            return new IngestOutcome(IngestStatus.Accepted, message ?? result.Message, rejected + result.Rejected);
        }
        catch (OperationCanceledException) when (aborted.IsCancellationRequested)
        {
            return new IngestOutcome(IngestStatus.Aborted, "the sender went away");
        }
        catch (BadHttpRequestException exception)
        {
            return new IngestOutcome(
                exception.StatusCode == StatusCodes.Status413PayloadTooLarge ? IngestStatus.TooLarge : IngestStatus.Aborted,
                exception.Message);
        }
        catch (IOException)
        {
            return new IngestOutcome(IngestStatus.Aborted, "the connection broke");
        }
        catch (Exception exception) when (PostgresErrors.IsDatabase(exception))
        {
            Log.ProjectsUnavailable(logger, PostgresErrors.Describe(exception));
            return Unavailable(PostgresErrors.Explain(exception));
        }
        finally
        {
            reservation?.Dispose();
            forward?.Dispose();
        }
    }

    private async ValueTask<Intake> TakeInAsync(IngestRequest request, IngestQueue.Reservation reservation, CancellationToken aborted)
    {
        var limit = options.Value.MaxRequestBytes;
        using var body = new RequestBody(reservation, request.IsGrpcFrame ? limit + GrpcPrefixBytes : limit);
        var fault = await body.ReadAsync(request.Body, request.ContentLength, aborted);
        var encoding = request.Encoding;
        if (fault == BodyFault.None && request.IsGrpcFrame)
        {
            if (body.Memory.Length < GrpcPrefixBytes
                || BinaryPrimitives.ReadUInt32BigEndian(body.Span[1..]) != body.Memory.Length - GrpcPrefixBytes || body.Span[0] > 1)
            {
                return new IngestOutcome(IngestStatus.Malformed,
                    "the body must be one gRPC message: five bytes of prefix and as many bytes as it says");
            }

            if (body.Span[0] == 1 && encoding is null or "" or "identity")
            {
                return new IngestOutcome(IngestStatus.Malformed, "the message is marked as compressed, but grpc-encoding does not say how");
            }

            encoding = body.Span[0] == 1 ? encoding : null;
            body.Skip(GrpcPrefixBytes);
        }

        if (fault == BodyFault.None && encoding is { Length: > 0 } and not "identity")
        {
            fault = body.Inflate(encoding);
        }

        if (fault != BodyFault.None)
        {
            return fault switch
            {
                BodyFault.TooLarge => new IngestOutcome(
                    IngestStatus.TooLarge, $"the body is larger than {limit} bytes (Phoenix:Ingest:MaxRequestBytes)"),
                BodyFault.Busy => Busy(request, reservation.Refusal),
                BodyFault.UnknownEncoding => new IngestOutcome(
                    IngestStatus.Unsupported, $"content encoding '{encoding}' is not supported; use gzip, deflate, br or none"),
                _ => new IngestOutcome(IngestStatus.Malformed, $"the {encoding} stream is corrupt or cut short"),
            };
        }

        return await DecodeAsync(request, body, reservation, aborted);
    }

    private async ValueTask<Intake> DecodeAsync(
        IngestRequest request, RequestBody body, IngestQueue.Reservation reservation, CancellationToken aborted)
    {
        using var transcoded = request.IsJson ? new ProtobufWriter() : null;
        if (transcoded is not null)
        {
            if (!reservation.TryGrow(body.Memory.Length))
            {
                return Busy(request, reservation.Refusal);
            }

            if (OtlpJson.Transcode(request.Signal, body.Span, transcoded) is { } error)
            {
                return new IngestOutcome(IngestStatus.Malformed, error);
            }
        }

        var bytes = transcoded?.WrittenMemory ?? body.Memory;
        var decoded = decoders.Decode(request.Signal, bytes.Span, request.ProjectName);
        var newProjects = RecordRequest.MaxNewProjects;
        for (var round = 0; decoded.UnknownProjects is { } names && round < ProjectRounds; round++)
        {
            await projects.EnsureAsync(names, aborted);
            newProjects -= names.Count;
            decoded = decoders.Decode(request.Signal, bytes.Span, request.ProjectName, newProjects);
        }

        return decoded switch
        {
            { Batch: { } batch } => new Intake(batch, forwarder?.Hold(request, bytes.Span, batch), default),
            { Error: { } malformed } => new IngestOutcome(IngestStatus.Malformed, malformed),
            _ => Unavailable("its project is being deleted"),
        };
    }

    /// <summary>The result of the write, or null when the deadline passed first; the batch is abandoned then.</summary>
    private async ValueTask<WriteResult?> WaitAsync(PendingBatch pending, IngestRequest request, CancellationToken aborted)
    {
        var timeout = request.Timeout is { } asked && asked < options.Value.RequestTimeout ? asked : options.Value.RequestTimeout;
        try
        {
            return await pending.Done.WaitAsync(timeout, time, aborted);
        }
        catch (TimeoutException)
        {
            pending.Abandon();
            return null;
        }
        catch (OperationCanceledException)
        {
            pending.Abandon();
            throw;
        }
    }

    private void Count(IngestRequest request, long started, int accepted, int duplicates, int rejected, int sampledOut, int filtered)
    {
        metrics.ObserveAck(request.Transport, time.GetElapsedTime(started));
        if (request.Signal == Signal.Spans)
        {
            metrics.CountSpans(request.Transport, SpanOutcome.Accepted, accepted);
            metrics.CountSpans(request.Transport, SpanOutcome.Duplicate, duplicates);
            metrics.CountSpans(request.Transport, SpanOutcome.Rejected, rejected);
            metrics.CountSpans(request.Transport, SpanOutcome.SampledOut, sampledOut);
            metrics.CountSpans(request.Transport, SpanOutcome.Filtered, filtered);
        }
    }

    private IngestOutcome Busy(IngestRequest request, QueueRefusal refusal)
    {
        if (request.Signal == Signal.Spans)
        {
            metrics.CountRefusedSpans(refusal.Stage, request.ContentLength);
        }

        return new(IngestStatus.Busy, refusal.Reason, RetryAfter: options.Value.BusyRetryDelay);
    }

    private IngestOutcome Unavailable(string message) =>
        new(IngestStatus.Unavailable, message, RetryAfter: options.Value.UnavailableRetryDelay);

    /// <summary>What became of a body: its records and, where they are to be forwarded, the body itself; or why there are none.</summary>
    private readonly record struct Intake(TelemetryBatch? Batch, ForwardRequest? Forward, IngestOutcome Fault)
    {
        public static implicit operator Intake(IngestOutcome fault) => new(null, null, fault);
    }

    private static partial class Log
    {
        [LoggerMessage(300, LogLevel.Warning, "A request was answered 503 because its project could not be created: {Reason}")]
        public static partial void ProjectsUnavailable(ILogger logger, string reason);
    }
}
