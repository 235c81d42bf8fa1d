using System.Globalization;
using System.Text.Json;

namespace Phoenix.Service.Storage.Postgres.Vectors;

/// <summary>
/// One vector of a span: N of <c>embedding.embeddings.N</c>, what it was made of, and its numbers as a JSON list, which is also how the
/// extension reads it.
/// </summary>
internal readonly record struct Embedding(int Position, string? Text, string Vector);

/// <summary>Takes the vectors out of a span's attributes (OpenInference, <c>embedding.embeddings.N.embedding.{vector,text}</c>).</summary>
internal static class EmbeddingReader
{
    /// <summary>The column <c>span_kind</c> of embedding calls.</summary>
    public const short SpanKind = 2;

    private const string Prefix = "embedding.embeddings.";
    private const string VectorSuffix = ".embedding.vector";

    /// <summary>
    /// The vectors of exactly <paramref name="dimensions"/> finite numbers that point somewhere; others cannot be compared.
    /// </summary>
    public static IEnumerable<Embedding> Read(string attributes, int dimensions)
    {
        using var json = JsonDocument.Parse(attributes);
        foreach (var property in json.RootElement.EnumerateObject())
        {
            var name = property.Name.AsSpan();
            if (name.StartsWith(Prefix, StringComparison.Ordinal) && name.EndsWith(VectorSuffix, StringComparison.Ordinal)
                && name.Length > Prefix.Length + VectorSuffix.Length
                && int.TryParse(name[Prefix.Length..^VectorSuffix.Length], NumberStyles.None,
                    CultureInfo.InvariantCulture, out var position)
                && IsVector(property.Value, dimensions))
            {
                var text = json.RootElement.TryGetProperty($"{Prefix}{position}.embedding.text", out var found)
                    && found.ValueKind == JsonValueKind.String ? found.GetString() : null;
                yield return new Embedding(position, text, property.Value.GetRawText());
            }
        }
    }

    private static bool IsVector(JsonElement value, int dimensions)
    {
        if (value.ValueKind != JsonValueKind.Array || value.GetArrayLength() != dimensions)
        {
            return false;
        }

        var pointsSomewhere = false;
        foreach (var number in value.EnumerateArray())
        {
            if (number.ValueKind != JsonValueKind.Number || !float.IsFinite((float)number.GetDouble()))
            {
                return false;
            }

            pointsSomewhere |= (float)number.GetDouble() != 0;
        }

        return pointsSomewhere;
    }
}
