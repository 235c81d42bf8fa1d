using System.Buffers.Text;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Phoenix.Service.Cost;
using Phoenix.Service.Ingest.Decode;
using Phoenix.Service.Storage;

namespace Phoenix.Service.Ingest.Normalize;

/// <summary>OpenInference span kinds as the column <c>span_kind</c> stores them.</summary>
internal static class SpanKinds
{
    public const short Unknown = 0;
    public const short Llm = 1;
    public const short Embedding = 2;
    public const short Chain = 3;
    public const short Retriever = 4;
    public const short Reranker = 5;
    public const short Tool = 6;
    public const short Agent = 7;
    public const short Guardrail = 8;
    public const short Evaluator = 9;
    public const short Prompt = 10;

    /// <summary>The kind named <paramref name="text"/> in any case; <see cref="Unknown"/> for other text.</summary>
    public static short Parse(ReadOnlySpan<byte> text)
    {
        for (short kind = 1; kind < SpanLabels.Names.Count; kind++)
        {
            if (Ascii.EqualsIgnoreCase(text, SpanLabels.Names[kind]))
            {
                return kind;
            }
        }

        return Unknown;
    }

    /// <summary>The name of <paramref name="kind"/>.</summary>
    public static string Name(short kind) => SpanLabels.Name(kind);
}

/// <summary>What one span says about its typed columns. Slices point into the request body or into arrays of their own.</summary>
internal ref struct SpanFacts
{
    /// <summary>One of <see cref="SpanKinds"/>.</summary>
    public short Kind;

    public ReadOnlySpan<byte> SessionId;

    /// <summary>Whether the session is the one that is made of the user's address where nothing names any.</summary>
    public bool SessionIsUsers;

    public ReadOnlySpan<byte> UserId;

    /// <summary>Path of the request the span is about (http.target, url.path), if any; with its query, if one was sent.</summary>
    public ReadOnlySpan<byte> Path;

    /// <summary>The model that counts for the columns, prices and sums; the empty text when none is known.</summary>
    public CachedText Model;

    /// <summary>The provider; the empty text when none is known.</summary>
    public CachedText Provider;

    /// <summary>Counts that enter columns and prices; all unknown for kinds that call no model.</summary>
    public TokenCounts Tokens;

    /// <summary>Cost by the price table; null when nothing can be computed.</summary>
    public long? CostPicoUsd;

    /// <summary>The computation behind <see cref="CostPicoUsd"/>.</summary>
    public SpanCost Cost;

    /// <summary>Cost as the emitter reported it, in USD.</summary>
    public decimal? ReportedUsd;

    /// <summary>The attribute that carried <see cref="ReportedUsd"/>.</summary>
    public string ReportedBy;

    /// <summary>Whether <c>error.type</c> names a failure.</summary>
    public bool HasErrorType;

    /// <summary>The failure that <c>error.type</c> names.</summary>
    private SpanError _errorType;

    /// <summary>The failure that <c>error.code</c> names.</summary>
    private SpanError _errorCode;

    /// <summary>Attributes the dialects derived; null for plain OpenInference.</summary>
    public DerivedAttributes? Derived;

    // Largest cost of one call that is believed.
    private const decimal MostUsd = 1_000_000_000;

    private ReadOnlySpan<byte> _model;
    private ReadOnlySpan<byte> _sessionOfUser;
    private ReadOnlySpan<byte> _requestModel;
    private ReadOnlySpan<byte> _responseModel;
    private ReadOnlySpan<byte> _embeddingModel;
    private ReadOnlySpan<byte> _rerankerModel;
    private ReadOnlySpan<byte> _provider;
    private long? _cacheInput;

    /// <summary>Notes the value of a known attribute; a value of an unfit type is ignored.</summary>
    public void Observe(KnownKey key, scoped in AnyValue value)
    {
        switch (key)
        {
            case KnownKey.SpanKind:
                Kind = SpanKinds.Parse(TextOf(value));
                break;
            case KnownKey.SessionId:
                SessionId = TextOf(value);
                break;
            case KnownKey.UserId:
                UserId = TextOf(value);
                break;
            case KnownKey.ModelName:
                _model = TextOf(value);
                break;
            case KnownKey.RequestModelName:
                _requestModel = TextOf(value);
                break;
            case KnownKey.ResponseModelName:
                _responseModel = TextOf(value);
                break;
            case KnownKey.EmbeddingModelName:
                _embeddingModel = TextOf(value);
                break;
            case KnownKey.RerankerModelName:
                _rerankerModel = TextOf(value);
                break;
            case KnownKey.Provider:
                _provider = TextOf(value);
                break;
            case KnownKey.PromptTokens:
                Tokens.Prompt = CountOf(value);
                break;
            case KnownKey.CompletionTokens:
                Tokens.Completion = CountOf(value);
                break;
            case KnownKey.TotalTokens:
                Tokens.Total = CountOf(value);
                break;
            case KnownKey.CacheReadTokens:
                Tokens.CacheRead = CountOf(value);
                break;
            case KnownKey.CacheWriteTokens:
                Tokens.CacheWrite = CountOf(value);
                break;
            case KnownKey.CacheInputTokens:
                _cacheInput = CountOf(value);
                break;
            case KnownKey.PromptAudioTokens:
                Tokens.PromptAudio = CountOf(value);
                break;
            case KnownKey.ReasoningTokens:
                Tokens.Reasoning = CountOf(value);
                break;
            case KnownKey.CompletionAudioTokens:
                Tokens.CompletionAudio = CountOf(value);
                break;
            case KnownKey.ReportedCost:
                ReportedUsd = UsdOf(value);
                ReportedBy = "llm.cost.total";
                break;
            case KnownKey.ErrorType:
                HasErrorType = !TextOf(value).IsEmpty;
                _errorType = SpanErrors.Of(TextOf(value));
                break;
            case KnownKey.Path:
                Path = TextOf(value);
                break;
            case KnownKey.ErrorCode:
                _errorCode = SpanErrors.Of(TextOf(value));
                break;
        }
    }

    /// <summary>
    /// The <c>error.type</c> that <c>error.code</c> stands for when there is none; <see cref="SpanError.None"/> for codes that say nothing.
    /// </summary>
    public readonly SpanError DerivedErrorType => HasErrorType || _errorCode == SpanError.Other ? SpanError.None : _errorCode;

    /// <summary>
    /// The failure of a span with this <paramref name="status"/>: by error.type, error.code, and for an error the type of its exception.
    /// </summary>
    public readonly SpanError ErrorOf(short status, ReadOnlySpan<byte> message, SpanScratch scratch) =>
        _errorType != SpanError.None ? _errorType
        : _errorCode != SpanError.None ? _errorCode
        : status == SpanErrors.ErrorStatus ? SpanErrors.OfException(message, scratch.Events)
        : SpanError.None;

    /// <summary>Fills what OpenInference keys left open from what the dialects found.</summary>
    public void Merge(DialectFacts dialect)
    {
        Kind = Kind == SpanKinds.Unknown ? dialect.Kind : Kind;
        Fill(ref SessionId, dialect.SessionId);
        Fill(ref _sessionOfUser, dialect.SessionOfUser);
        Fill(ref UserId, dialect.UserId);
        Fill(ref _requestModel, dialect.RequestModel);
        Fill(ref _responseModel, dialect.ResponseModel);
        Fill(ref _provider, dialect.Provider);
        Tokens.Prompt ??= dialect.Tokens.Prompt;
        Tokens.Completion ??= dialect.Tokens.Completion;
        Tokens.Total ??= dialect.Tokens.Total;
        Tokens.CacheRead ??= dialect.Tokens.CacheRead;
        Tokens.CacheWrite ??= dialect.Tokens.CacheWrite;
        Tokens.PromptAudio ??= dialect.Tokens.PromptAudio;
        Tokens.Reasoning ??= dialect.Tokens.Reasoning;
        Tokens.CompletionAudio ??= dialect.Tokens.CompletionAudio;
        if (ReportedUsd is null && dialect.ReportedUsd is not null)
        {
            (ReportedUsd, ReportedBy) = (dialect.ReportedUsd, dialect.ReportedBy!);
        }
    }

    /// <summary>
    /// Decides between the sources once all attributes are seen; the resource speaks where the span is silent. Names become what
    /// <paramref name="use"/> keeps of them.
    /// </summary>
    public void Settle(ResourceEntry resource, TextCache texts, AttributeUse use, bool cacheIsExclusive)
    {
        if (SessionId.IsEmpty)
        {
            SessionId = resource.SessionId ?? _sessionOfUser;
        }

        if (UserId.IsEmpty)
        {
            UserId = resource.UserId;
        }

        SessionIsUsers = !SessionId.IsEmpty && SessionId.SequenceEqual(_sessionOfUser);
        var own = Kind switch
        {
            SpanKinds.Embedding => _embeddingModel,
            SpanKinds.Reranker => _rerankerModel,
            _ => default,
        };
        var model = !own.IsEmpty ? own : !_model.IsEmpty ? _model : !_responseModel.IsEmpty ? _responseModel : _requestModel;
        SessionId = use.Label("session.id"u8, SessionId);
        UserId = use.Label("user.id"u8, UserId);
        Model = texts.Get(use.Label("llm.model_name"u8, model));
        Provider = texts.Get(use.Label("llm.provider"u8, _provider));
        if (Kind is SpanKinds.Llm or SpanKinds.Embedding or SpanKinds.Reranker)
        {
            Tokens.CacheRead ??= _cacheInput;
            Tokens.Settle(cacheIsExclusive);
        }
        else
        {
            // Wrappers repeat the usage of the calls below them: it stays in their attributes and is counted nowhere.
            Tokens = default;
        }
    }

    /// <summary>Trimmed text of a string, or a number or bool as text; empty for anything else.</summary>
    public static ReadOnlySpan<byte> TextOf(scoped in AnyValue value) => value.Kind switch
    {
        AnyValueKind.String when value.Data is [> (byte)' ', .., > (byte)' '] => value.Data,
        AnyValueKind.String => value.Data.Trim(" \t\r\n"u8),
        AnyValueKind.Int => Encoding.UTF8.GetBytes(value.Int.ToString(CultureInfo.InvariantCulture)),
        AnyValueKind.Double => Encoding.UTF8.GetBytes(value.Double.ToString(CultureInfo.InvariantCulture)),
        AnyValueKind.Bool => value.Bits != 0 ? "true"u8 : "false"u8,
        _ => default,
    };

    /// <summary>A token count: a non-negative int, whole double or numeric text; anything else is unknown (null).</summary>
    public static long? CountOf(scoped in AnyValue value) => value.Kind switch
    {
        AnyValueKind.Int when value.Int is >= 0 and <= TokenCounts.Most => value.Int,
        AnyValueKind.Double => WholeNumber(value.Double),
        AnyValueKind.String when Utf8Parser.TryParse(value.Data.Trim((byte)' '), out double number, out var read)
            && read == value.Data.Trim((byte)' ').Length => WholeNumber(number),
        _ => null,
    };

    /// <summary>A token count in JSON, by the same rule.</summary>
    public static long? CountOf(JsonElement value) =>
        value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out var number) ? WholeNumber(number) : null;

    /// <summary>A cost in USD as an emitter reports it; one that is negative or that nobody can owe is unknown (null).</summary>
    public static decimal? UsdOf(decimal usd) => usd is >= 0 and <= MostUsd ? usd : null;

    private static decimal? UsdOf(scoped in AnyValue value) => value.Kind switch
    {
        AnyValueKind.Int => UsdOf(value.Int),
        AnyValueKind.Double when value.Double is >= 0 and <= (double)MostUsd => (decimal)value.Double,
        AnyValueKind.String when decimal.TryParse(value.Data, NumberStyles.Float, CultureInfo.InvariantCulture, out var usd) => UsdOf(usd),
        _ => null,
    };

    private static long? WholeNumber(double value) =>
        value is >= 0 and <= TokenCounts.Most && Math.Floor(value) == value ? (long)value : null;

    private static void Fill(ref ReadOnlySpan<byte> field, string? text)
    {
        if (field.IsEmpty && text is not null)
        {
            field = Encoding.UTF8.GetBytes(text);
        }
    }
}
