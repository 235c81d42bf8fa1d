using System.Text.Encodings.Web;
using System.Text.Json;
using Npgsql;

namespace Phoenix.Service.Storage.Postgres.Readers;

/// <summary>
/// "A column holds this text, in any case", as SQL. Of columns that are JSON, or may be, also the strings inside are looked at, in which
/// quotes, backslashes and control characters stand escaped.
/// </summary>
internal sealed class TextCondition(NpgsqlCommand command, string text)
{
    private readonly string[] _needles =
        [.. new[] { text, InJson(text) }.Distinct(StringComparer.Ordinal).Select(needle => $"lower({command.Bind(needle)})")];

    /// <summary>Whether one of <paramref name="columns"/> holds the text.</summary>
    public string HeldBy(params string[] columns) =>
        $"({string.Join(" OR ", columns.SelectMany(column => _needles.Select(needle => $"strpos(lower({column}), {needle}) > 0")))})";

    /// <summary><paramref name="text"/> as it stands inside of a JSON string that this service stored.</summary>
    public static string InJson(string text) => JsonEncodedText.Encode(text, JavaScriptEncoder.UnsafeRelaxedJsonEscaping).ToString();
}
