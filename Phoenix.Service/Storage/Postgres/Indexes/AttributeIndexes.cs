using System.Collections.Frozen;
using Microsoft.Extensions.Options;

namespace Phoenix.Service.Storage.Postgres.Indexes;

/// <summary>
/// Indexes on single attributes of spans, as <see cref="StorageOptions.IndexedAttributes"/> names them: one for each key and partition,
/// made with a new partition and by the <see cref="IndexBuilder"/> in those that are there. They have no parent, because what hangs on one
/// cannot be dropped without locking all partitions. Thread-safe.
/// </summary>
internal sealed class AttributeIndexes(IOptions<StorageOptions> options)
{
    /// <summary>SQL of what an index holds for a row that only parsing can judge: it is a candidate for every value.</summary>
    private const string Undecided = "chr(1)";

    /// <summary>What stands in the index where the row itself must be asked, as the character it is.</summary>
    internal const char UndecidedCharacter = '\u0001';

    /// <summary>
    /// Characters of a value that are indexed: an index row holds at most 2,704 bytes, and a row that does not fit would be refused.
    /// </summary>
    private const int IndexedCharacters = 200;

    private volatile FrozenSet<string> _ready = [];

    /// <summary>The keys that are to be indexed.</summary>
    public IReadOnlyList<string> Keys { get; } = [.. options.Value.IndexedAttributes.Distinct(StringComparer.Ordinal)];

    /// <summary>Whether every partition has a valid index on the key.</summary>
    public bool IsReady(string key) => _ready.Contains(key);

    /// <summary>Notes which keys every partition has an index for.</summary>
    public void SetReady(IEnumerable<string> keys) => _ready = keys.ToFrozenSet(StringComparer.Ordinal);

    /// <summary>The index of <paramref name="key"/> on <paramref name="leaf"/>, a partition of spans.</summary>
    public static WantedIndex On(string leaf, string key)
    {
        var name = WantedIndex.NameOn(leaf, "attr", key);

        // A larger sample would be read from the partition at each of its analyses (Partitions.Statistics).
        return new WantedIndex(name, leaf, $"USING btree (project_id, ({Value(key)}), start_ns)",
            Then: $"ALTER INDEX {name} ALTER COLUMN 2 SET STATISTICS 20");
    }

    /// <summary>
    /// SQL of the text that the index on <paramref name="key"/> holds for a row, null when the row lacks the key: the same decision as
    /// <see cref="Readers.AttributeCondition.Matches"/>, except that a key inside of an object is left to it. Compared byte by byte.
    /// </summary>
    public static string Value(string key)
    {
        const string Or = " OR ";
        string[] nested = [.. Enumerable.Range(1, key.Count(static character => character == '.'))
            .Select(cut => string.Join('.', key.Split('.')[cut..]))];
        return $"(CASE {Cases("attributes")} {Cases("derived")} END) COLLATE \"C\"";

        string Cases(string column)
        {
            var flat = $"WHEN strpos({column}, '\"{key}\":') > 0 THEN left(coalesce({column}::json ->> '{key}', {Undecided}), {IndexedCharacters})";
            // With a backslash: in an object that was sent as JSON text.
            var inside = string.Join(
                Or, nested.Select(part => $"strpos({column}, '\"{part}\"') > 0 OR strpos({column}, '\"{part}\\\"') > 0"));
            return nested.Length == 0 ? flat : $"{flat} WHEN {inside} THEN {Undecided}";
        }
    }

    /// <summary>
    /// SQL conditions, one for each text that the index may hold for a row with one of <paramref name="values"/> (placeholders).
    /// </summary>
    public static IEnumerable<string> Conditions(string key, IEnumerable<string> values) =>
        values.Select(value => $"left({value}, {IndexedCharacters})").Append(Undecided).Select(text => $" AND {Value(key)} = {text}");

    /// <summary>Whether <paramref name="key"/> can be indexed: its characters stand in JSON and in SQL as they are.</summary>
    public static bool CanIndex(string key) => key.Length is > 0 and <= 200
        && key.All(static character => char.IsAsciiLetterOrDigit(character) || character is '.' or '_' or '-' or ':');
}
