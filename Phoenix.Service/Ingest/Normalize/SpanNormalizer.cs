using System.Buffers.Text;
using System.Runtime.CompilerServices;
using System.Text;
using Microsoft.Extensions.Options;
using Phoenix.Service.Cost;
using Phoenix.Service.Ingest.Decode;
using Phoenix.Service.Storage;

namespace Phoenix.Service.Ingest.Normalize;

/// <summary>
/// What conventions make of one span: its typed columns, the column <c>derived</c>, and its cost. 1. OpenInference keys; 2. only when a key
/// of a dialect was seen, the dialects; 3. the operator's session rules; 4. sources settled; 5. cost. Thread-safe.
/// </summary>
internal sealed class SpanNormalizer(
    PriceBook prices, AttributePolicy policy, SessionRules sessions, IOptions<NormalizeOptions> options)
{
    private const byte Failed = 2;

    // Reported and computed cost may differ by rounding; beyond this share of the larger one they are said to differ.
    private const decimal Tolerance = 0.01m;

    private readonly string[] _exclusiveScopes = options.Value.ExclusiveCacheScopes;
    private readonly byte[][] _filteredPaths = [.. options.Value.FilterPaths.Select(Encoding.UTF8.GetBytes)];

    /// <summary>Strings for text that repeats from span to span.</summary>
    public TextCache Texts { get; } = new();

    /// <summary>
    /// Reads <paramref name="facts"/> from the attributes in <paramref name="scratch"/>; false when a value breaks the encoding.
    /// </summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public bool TryReadFacts(
        ReadOnlySpan<byte> message, in SpanFields fields, SpanScratch scratch, ResourceEntry resource,
        InternedScope scope, ref SpanFacts facts)
    {
        foreach (var attribute in scratch.Attributes)
        {
            if (attribute.Key is { Known: not KnownKey.None } key)
            {
                var sent = attribute.Value(message);
                if (!AnyValue.TryRead(sent, out var value))
                {
                    return false;
                }

                // A model's column is searched under the name it has there; the rules of this one hold for it too.
                if (scratch.Use.Search && value.Kind == AnyValueKind.String && key.Known is KnownKey.RequestModelName
                    or KnownKey.ResponseModelName or KnownKey.EmbeddingModelName or KnownKey.RerankerModelName)
                {
                    value = AnyValue.OfText(scratch.Use.Scrub(key.Utf8, value.Data));
                }

                facts.Observe(key.Known, key.Redaction is null ? value : policy.Readable(key, value, sent));
            }
        }

        if (scratch.HasDialect)
        {
            Translate(message, fields, scratch, scope, ref facts);
        }

        if (sessions.Any)
        {
            ApplySessionRules(message, scratch, ref facts);
        }

        facts.Settle(resource, Texts, scratch.Use,
            _exclusiveScopes.Length > 0 && _exclusiveScopes.Contains(scope.Name, StringComparer.Ordinal));
        if (facts.Tokens.Any && facts.Model.Text.Length > 0
            && prices.Find(facts.Model, facts.Provider, (long)fields.StartNanos) is { } price
            && SpanCost.TryCompute(price, facts.Tokens, out facts.Cost))
        {
            facts.CostPicoUsd = facts.Cost.TotalPicoUsd;
        }

        return true;
    }

    /// <summary>Whether a span is to be left out: it is about a path of <see cref="NormalizeOptions.FilterPaths"/>.</summary>
    public bool Filters(in SpanFacts facts)
    {
        if (_filteredPaths.Length == 0 || facts.Path.IsEmpty)
        {
            return false;
        }

        var query = facts.Path.IndexOf((byte)'?');
        var path = query < 0 ? facts.Path : facts.Path[..query];
        foreach (var filtered in _filteredPaths)
        {
            if (path.SequenceEqual(filtered))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>
    /// Column <c>derived</c>: attributes of the dialects, <c>error.type</c> from <c>error.code</c>, <c>phoenix.cost</c>,
    /// <c>phoenix.failed</c> (an error.type without an error status) and <c>phoenix.truncated</c> (original sizes); NULL when there is none
    /// of them.
    /// </summary>
    public static void WriteDerived(
        CopyRows rows, ReadOnlySpan<byte> message, short status, SpanScratch scratch, in SpanFacts facts)
    {
        var failed = facts.HasErrorType && status != Failed;
        var hasCost = facts.CostPicoUsd is not null || facts.ReportedUsd is not null;
        var errorType = SpanErrors.Name(facts.DerivedErrorType);
        if (!failed && !hasCost && !scratch.HasLongValue && facts.Derived is null && errorType.Length == 0)
        {
            rows.WriteNull();
            return;
        }

        var field = rows.BeginField();
        var separator = "{"u8;
        if (facts.Derived is { IsEmpty: false } derived)
        {
            Separate(rows, ref separator);
            AttributeJson.WriteRaw(rows, derived.Members());
        }

        if (hasCost)
        {
            Separate(rows, ref separator);
            WriteCost(rows, facts);
        }

        if (errorType.Length > 0)
        {
            Separate(rows, ref separator);
            AttributeJson.WriteRaw(rows, "\"error.type\":"u8);
            JsonText.WriteString(rows, Encoding.UTF8.GetBytes(errorType));
        }

        if (failed)
        {
            Separate(rows, ref separator);
            AttributeJson.WriteRaw(rows, "\"phoenix.failed\":true"u8);
        }

        if (scratch.HasLongValue)
        {
            Separate(rows, ref separator);
            WriteTruncated(rows, message, scratch);
        }

        AttributeJson.WriteRaw(rows, separator[0] == '{' ? "{}"u8 : "}"u8);
        rows.EndField(field);
    }

    private static void ApplySessionRules(ReadOnlySpan<byte> message, SpanScratch scratch, ref SpanFacts facts)
    {
        var ruled = default(RuledSession);
        foreach (var attribute in scratch.Attributes)
        {
            if (attribute.Key is { } key)
            {
                ruled.Offer(key, attribute.Value(message), scratch.Use);
            }
        }

        facts.SessionId = ruled.Text.IsEmpty ? facts.SessionId : ruled.Text;
    }

    private void Translate(ReadOnlySpan<byte> message, in SpanFields fields, SpanScratch scratch, InternedScope scope, ref SpanFacts facts)
    {
        var view = AttributeView.Of(message, scratch.Attributes, policy);
        var derived = new DerivedAttributes(view, policy);
        var dialect = new DialectFacts { Kind = facts.Kind };
        var events = scratch.Events.Count == 0 ? [] : DialectEvent.ReadAll(message, scratch.Events, policy);
        Dialects.Map(new DialectSpan(Encoding.UTF8.GetString(fields.Name), scope.Name, (short)fields.Kind, view, derived, dialect), events);
        facts.Merge(dialect);
        facts.Derived = derived;
    }

    private static void WriteCost(CopyRows rows, in SpanFacts facts)
    {
        AttributeJson.WriteRaw(rows, "\"phoenix.cost\":"u8);
        var reported = ",\"reported_usd\":"u8;
        if (facts.CostPicoUsd is not null)
        {
            facts.Cost.WriteOpen(rows);
        }
        else
        {
            AttributeJson.WriteRaw(rows, "{"u8);
            reported = "\"reported_usd\":"u8;
        }

        if (facts.ReportedUsd is { } usd)
        {
            AttributeJson.WriteRaw(rows, reported);
            Utf8Formatter.TryFormat(usd, rows.Reserve(40), out var written);
            rows.Advance(written);
            AttributeJson.WriteRaw(rows, ",\"reported_by\":"u8);
            JsonText.WriteString(rows, Encoding.UTF8.GetBytes(facts.ReportedBy));
            if (facts.CostPicoUsd is { } computed)
            {
                var pico = usd * 1_000_000_000_000m;
                AttributeJson.WriteRaw(
                    rows, Math.Abs(pico - computed) > Tolerance * Math.Max(pico, computed)
                        ? ",\"differs\":true"u8
                        : ",\"differs\":false"u8);
            }
        }

        AttributeJson.WriteRaw(rows, "}"u8);
    }

    private static void WriteTruncated(CopyRows rows, ReadOnlySpan<byte> message, SpanScratch scratch)
    {
        AttributeJson.WriteRaw(rows, "\"phoenix.truncated\":"u8);
        var start = rows.Position;
        foreach (var attribute in scratch.Attributes)
        {
            if (attribute.Key is { Redaction: null } key && scratch.Use.Policy.LengthBeforeCut(attribute.Value(message)) is { } length)
            {
                key.WriteTo(rows);
                AttributeJson.WriteInt(rows, length);
            }
        }

        AttributeJson.CloseObject(rows, start);
    }

    private static void Separate(CopyRows rows, ref ReadOnlySpan<byte> separator)
    {
        AttributeJson.WriteRaw(rows, separator);
        separator = ","u8;
    }
}
