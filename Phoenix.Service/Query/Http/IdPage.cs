using Microsoft.AspNetCore.Http.HttpResults;

namespace Phoenix.Service.Query.Http;

/// <summary>
/// The parameters <c>limit</c> and <c>cursor</c> of a list by row id: the cursor is the GlobalID of the next page's first row, so one row
/// more than the page has is read.
/// </summary>
/// <param name="Type">Type of the GlobalIDs.</param>
/// <param name="From">First row of the page; null = the list's own beginning.</param>
/// <param name="Limit">Most rows of the page.</param>
internal readonly record struct IdPage(string Type, long? From, int Limit)
{
    /// <summary>Rows to read: those of the page and the one that the next page begins with.</summary>
    public int Wanted => Limit + 1;

    /// <summary>
    /// Reads both parameters. A bad limit is a fault of <paramref name="query"/>; a cursor that is none of <paramref name="type"/> is the
    /// result's second part.
    /// </summary>
    public static (IdPage Page, ContentHttpResult? BadCursor) Read(QueryValues query, string type, int maxLimit = 1_000)
    {
        var limit = query.Int("limit", 100, 1, maxLimit);
        return query.Text("cursor") is not { } cursor ? (new IdPage(type, null, limit), null)
            : GlobalId.TryParse(cursor, type, out var from) ? (new IdPage(type, from, limit), null)
            : (default, ApiResults.Unprocessable($"Invalid cursor format: {cursor}"));
    }

    /// <summary>The cursor behind the page that <paramref name="rows"/> begin with; null when it is the last one.</summary>
    public string? Next<T>(IReadOnlyList<T> rows, Func<T, long> id) => rows.Count > Limit ? GlobalId.Format(Type, id(rows[Limit])) : null;
}
