namespace Phoenix.Service.Storage.Postgres.Readers;

/// <summary>Which spans of a project a list shows; conditions are ANDed, the values inside one are ORed; null means any.</summary>
internal sealed record SpanFilter
{
    /// <summary>Earliest start, Unix ns, inclusive.</summary>
    public long StartNanos { get; init; } = long.MinValue;

    /// <summary>Latest start, Unix ns, exclusive.</summary>
    public long EndNanos { get; init; } = long.MaxValue;

    /// <summary>Spans of these traces.</summary>
    public Guid[]? TraceIds { get; init; }

    /// <summary>Spans with these ids.</summary>
    public long[]? SpanIds { get; init; }

    /// <summary>Children of this span.</summary>
    public long? ParentId { get; init; }

    /// <summary>Spans without a parent id only.</summary>
    public bool RootsOnly { get; init; }

    /// <summary>Exact names.</summary>
    public string[]? Names { get; init; }

    /// <summary>OpenInference kinds, see <see cref="SpanLabels"/>.</summary>
    public short[]? Kinds { get; init; }

    /// <summary>Status codes.</summary>
    public short[]? Statuses { get; init; }

    /// <summary>Model names, exact.</summary>
    public string[]? Models { get; init; }

    /// <summary>
    /// Case-insensitive part of name, attributes, derived attributes, events, status message, or messages that came as log records.
    /// </summary>
    public string? Text { get; init; }

    /// <summary>Conditions on attributes.</summary>
    public IReadOnlyList<AttributeCondition> Attributes { get; init; } = [];

    /// <summary>Whether a row may be left out for another reason than its time: then a page is looked for in bounded steps.</summary>
    public bool IsSelective => SpanIds is not null || ParentId is not null || RootsOnly || Names is not null || Kinds is not null
        || Statuses is not null
        || Models is not null || Text is not null || Attributes.Count > 0;
}
