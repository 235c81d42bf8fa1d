using Microsoft.AspNetCore.Components;
using Phoenix.Service.Ui.Models;

namespace Phoenix.Service.Ui.Components;

/// <summary>Everything about one span: what went in and out first, identity last.</summary>
public partial class SpanPane
{
    private static readonly (string Key, string Label)[] s_tokenKeys =
    [
        ("llm.token_count.prompt", "prompt tokens"), ("llm.token_count.prompt_details.cache_read", "… read from cache"),
        ("llm.token_count.prompt_details.cache_write", "… written to cache"), ("llm.token_count.prompt_details.audio", "… audio"),
        ("llm.token_count.completion", "completion tokens"), ("llm.token_count.completion_details.reasoning", "… reasoning"),
        ("llm.token_count.completion_details.audio", "… audio"), ("llm.token_count.total", "total tokens"),
        ("llm.cost.prompt", "prompt cost (USD)"), ("llm.cost.completion", "completion cost (USD)"), ("llm.cost.total", "total cost (USD)"),
    ];

    /// <summary>What to show.</summary>
    [Parameter, EditorRequired]
    public SpanDetail Span { get; set; } = null!;

    /// <summary>Name of its project.</summary>
    [Parameter, EditorRequired]
    public string Project { get; set; } = "";

    /// <summary>32 hex digits.</summary>
    [Parameter, EditorRequired]
    public string TraceId { get; set; } = "";

    private IReadOnlyList<ChatMessage> InputMessages { get; set; } = [];

    private IReadOnlyList<ChatMessage> OutputMessages { get; set; } = [];

    private IReadOnlyList<DocumentView> Documents { get; set; } = [];

    private List<SpanEventView> OtherEvents { get; set; } = [];

    private List<(string Label, string Value)> TokenRows { get; set; } = [];

    private string Tokens => $"{Format.Count(Span.PromptTokens ?? 0)} in · {Format.Count(Span.CompletionTokens ?? 0)} out";

    /// <inheritdoc/>
    protected override void OnParametersSet()
    {
        InputMessages = Span.InputMessages;
        OutputMessages = Span.OutputMessages;
        Documents = Span.Documents;
        OtherEvents = [.. Span.Events.Where(static item => !item.IsException)];
        TokenRows = [.. s_tokenKeys.Where(row => Span.Attributes[row.Key] is not null)
            .Select(row => (row.Label, Span.Attributes[row.Key]!))];
    }
}
