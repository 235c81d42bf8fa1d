namespace Phoenix.Service.Metrics;

/// <summary>Which users metrics tell apart: the first hundred seen, <c>other</c> for the rest. Thread-safe.</summary>
internal sealed class UserLabels
{
    private const int MostUsers = 100;
    private readonly LabelCap _cap = new(MostUsers);

    /// <summary>The label of <paramref name="user"/>; one of a bounded set of strings.</summary>
    public string Admit(string user) => _cap.Admit(user);
}
