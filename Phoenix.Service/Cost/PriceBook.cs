using System.Collections.Immutable;
using Phoenix.Service.Ingest.Decode;

namespace Phoenix.Service.Cost;

/// <summary>
/// Finds the price of a model at a moment (docs/cost.md): candidates are prices whose pattern is found in the name and that
/// have begun; user-defined before built-in, then the same provider if any candidate has it, the more specific pattern, the later start,
/// the later entry. What is found is remembered in a table that never grows. Thread-safe; <see cref="Replace"/> takes effect for the next
/// span.
/// </summary>
internal sealed class PriceBook
{
    private const int Slots = 1024;

    private volatile Snapshot _current = new(PriceTable.BuiltIn);

    /// <summary>Puts <paramref name="userDefined"/> before the built-in table, instead of what was there.</summary>
    public void Replace(ImmutableArray<ModelPrice> userDefined) => _current = new Snapshot([.. userDefined, .. PriceTable.BuiltIn]);

    /// <summary>
    /// The price of <paramref name="model"/> for a span that started at <paramref name="startNanos"/>; null when none is known.
    /// </summary>
    public ModelPrice? Find(CachedText model, CachedText provider, long startNanos)
    {
        var snapshot = _current;
        ref var slot = ref snapshot.Choices[(uint)((model.Id * 397) ^ provider.Id) % Slots];
        var choice = slot;
        if (choice is null || choice.Model != model.Text || choice.Provider != provider.Text)
        {
            choice = new Choice(model.Text, provider.Text, Candidates(snapshot.Prices, model.Text, provider.Text));
            slot = choice;
        }

        foreach (var candidate in choice.Candidates)
        {
            if (candidate.StartNanos <= startNanos)
            {
                return candidate;
            }
        }

        return null;
    }

    /// <summary>All prices whose pattern matches, best first, whenever they begin.</summary>
    private static ModelPrice[] Candidates(ImmutableArray<ModelPrice> prices, string model, string provider)
    {
        var name = model.Trim();
        var matching = prices.Where(price => price.Pattern.IsMatch(name));
        return
        [
            .. matching
                .OrderBy(price => price.IsBuiltIn)
                .ThenByDescending(price => string.Equals(price.Provider, provider, StringComparison.OrdinalIgnoreCase))
                .ThenByDescending(price => price.Specificity)
                .ThenByDescending(price => price.StartNanos)
                .ThenByDescending(price => price.Order),
        ];
    }

    private sealed record Choice(string Model, string Provider, ModelPrice[] Candidates);

    private sealed record Snapshot(ImmutableArray<ModelPrice> Prices)
    {
        public Choice?[] Choices { get; } = new Choice?[Slots];
    }
}
