using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;

namespace Phoenix.Service.Metrics;

/// <summary>A sum that only grows; exact for whole numbers up to 2^53. Thread-safe.</summary>
internal sealed class Counter
{
    private double _value;

    public double Value => Volatile.Read(ref _value);

    public void Add(double amount)
    {
        var seen = Volatile.Read(ref _value);
        while (true)
        {
            var previous = Interlocked.CompareExchange(ref _value, seen + amount, seen);
            if (previous.Equals(seen))
            {
                return;
            }

            seen = previous;
        }
    }
}

/// <summary>Counts by upper bound, with the sum of what was observed. Thread-safe; a scrape may see an observation's parts apart.</summary>
internal sealed class Histogram(double[] bounds)
{
    private readonly long[] _counts = new long[bounds.Length + 1];
    private readonly Counter _sum = new();

    public void Observe(double value)
    {
        var bucket = 0;
        while (bucket < bounds.Length && value > bounds[bucket])
        {
            bucket++;
        }

        Interlocked.Increment(ref _counts[bucket]);
        _sum.Add(value);
    }

    /// <summary>Adds observations counted elsewhere by the same bounds, the last entry for everything above.</summary>
    public void Add(ReadOnlySpan<int> counts, double sum)
    {
        for (var bucket = 0; bucket < _counts.Length; bucket++)
        {
            Interlocked.Add(ref _counts[bucket], counts[bucket]);
        }

        _sum.Add(sum);
    }

    /// <summary>The cumulative bucket, sum and count samples.</summary>
    public void Write(PrometheusWriter writer, string name, string labels)
    {
        var separator = labels.Length == 0 ? "" : ",";
        var total = 0L;
        for (var bucket = 0; bucket < _counts.Length; bucket++)
        {
            total += Interlocked.Read(ref _counts[bucket]);
            var bound = PrometheusWriter.Number(bucket < bounds.Length ? bounds[bucket] : double.PositiveInfinity);
            writer.Sample(name + "_bucket", $"{labels}{separator}le=\"{bound}\"", total);
        }

        writer.Sample(name + "_sum", labels, _sum.Value);
        writer.Sample(name + "_count", labels, total);
    }
}

/// <summary>The series of one family by label values, created when first asked for. Thread-safe.</summary>
internal sealed class SeriesSet<TKey, TSeries>(Func<TKey, string> labels, Func<TSeries> create)
    where TKey : notnull
{
    private readonly ConcurrentDictionary<TKey, (string Labels, TSeries Series)> _series = new();

    public TSeries this[TKey key] =>
        _series.GetOrAdd(key, static (added, set) => (set.Labels(added), set.Create()), (Labels: labels, Create: create)).Series;

    /// <summary>Series there are.</summary>
    public int Count => _series.Count;

    /// <summary>The series of <paramref name="key"/> if there is one.</summary>
    public bool TryGet(TKey key, [MaybeNullWhen(false)] out TSeries series)
    {
        var known = _series.TryGetValue(key, out var entry);
        series = entry.Series;
        return known;
    }

    /// <summary>Every series with its label text, ordered by it so that scrapes are comparable.</summary>
    public IEnumerable<(string Labels, TSeries Series)> All => _series.Values.OrderBy(static entry => entry.Labels, StringComparer.Ordinal);

    /// <summary>Writes the family <paramref name="name"/> of counters; without a series its HELP and TYPE lines alone.</summary>
    public void WriteCounters(PrometheusWriter writer, string name, string help, Func<TSeries, double> value)
    {
        writer.Family(name, MetricType.Counter, help);
        foreach (var (text, series) in All)
        {
            writer.Sample(name, text, value(series));
        }
    }
}

/// <summary>Bounds a label's distinct values: those past the cap become <c>other</c>. Thread-safe.</summary>
internal sealed class LabelCap(int most)
{
    private const string Rest = "other";
    private readonly ConcurrentDictionary<string, string> _admitted = new(StringComparer.Ordinal);
    private int _count;

    /// <summary>The value, or <c>other</c>: for equal values the same string.</summary>
    public string Admit(string value)
    {
        if (value.Length == 0)
        {
            return string.Empty;
        }

        if (_admitted.TryGetValue(value, out var known))
        {
            return known;
        }

        if (Volatile.Read(ref _count) >= most)
        {
            return Rest;
        }

        if (Interlocked.Increment(ref _count) > most)
        {
            Interlocked.Decrement(ref _count);
            return Rest;
        }

        if (!_admitted.TryAdd(value, value))
        {
            Interlocked.Decrement(ref _count);
        }

        return _admitted[value];
    }
}
