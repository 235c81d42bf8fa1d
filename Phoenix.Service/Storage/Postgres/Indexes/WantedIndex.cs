using System.Security.Cryptography;
using System.Text;

namespace Phoenix.Service.Storage.Postgres.Indexes;

/// <summary>An index that a table shall have.</summary>
/// <param name="Name">Its name, which says what it holds: a valid index of this name is the wanted one.</param>
/// <param name="Table">The table, no partitioned one.</param>
/// <param name="Definition">What follows the table in CREATE INDEX.</param>
/// <param name="Parent">The index of the partitioned table that it becomes a part of, if any.</param>
/// <param name="IsUnique">Whether it is a unique index.</param>
/// <param name="Then">A statement that belongs to making it, if any.</param>
internal sealed record WantedIndex(string Name, string Table, string Definition, string? Parent = null,
    bool IsUnique = false, string? Then = null)
{
    /// <summary>The statement that makes it; <paramref name="concurrently"/> lets writes go on, and cannot run in a transaction.</summary>
    public string CreateSql(
        bool concurrently) => $"CREATE {(IsUnique ? "UNIQUE " : "")}INDEX {(concurrently ? "CONCURRENTLY " : "")}{Name} ON {Table} {Definition}";

    /// <summary>A name on <paramref name="table"/> that stands for <paramref name="content"/>, short enough for PostgreSQL.</summary>
    public static string NameOn(string table, string kind, string content) =>
        $"{table}_{kind}_{Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(content)).AsSpan(0, 4))}";
}
