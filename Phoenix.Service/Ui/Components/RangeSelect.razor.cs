using Microsoft.AspNetCore.Components;

namespace Phoenix.Service.Ui.Components;

/// <summary>Choice of the time range inside a filter form.</summary>
public partial class RangeSelect
{
    /// <summary>Query value of the current choice; an interval is kept as one.</summary>
    [Parameter]
    public string? Value { get; set; }
}
