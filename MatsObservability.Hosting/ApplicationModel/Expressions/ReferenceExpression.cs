using System.Globalization;
using System.Runtime.CompilerServices;

namespace Aspire.Hosting.ApplicationModel;

/// <summary>Text with values in it: resolved when running, placeholders when published.</summary>
/// <remarks>Written as an interpolated string: <c>ReferenceExpression.Create($"Host={endpoint.Property(EndpointProperty.Host)}")</c>. The
/// format <c>uri</c> percent-encodes a value.</remarks>
public class ReferenceExpression : IExpressionValue, IValueWithReferences
{
    internal const string UriFormat = "uri";

    /// <summary>The empty text.</summary>
    public static readonly ReferenceExpression Empty = new("", [], []);

    private readonly IValueProvider[] _values;
    private readonly string?[] _formats;

    internal ReferenceExpression(string format, IValueProvider[] values, string?[] formats)
    {
        Format = format;
        _values = values;
        _formats = formats;
    }

    /// <summary>A composite format string: <c>{0}</c>… stand for the values; braces of the literal text are doubled.</summary>
    public string Format { get; }

    /// <summary>The placeholder of each value.</summary>
    public IReadOnlyList<string> ManifestExpressions => [.. _values.Select(value => ((IManifestExpressionProvider)value).ValueExpression)];

    /// <summary>The format of each value, null for none.</summary>
    public IReadOnlyList<string?> StringFormats => _formats;

    public IReadOnlyList<IValueProvider> ValueProviders => _values;

    public IEnumerable<object> References => _values;

    public string ValueExpression => string.Format(CultureInfo.InvariantCulture, Format, [.. ManifestExpressions]);

    public ValueTask<string?> GetValueAsync(CancellationToken cancellationToken = default) =>
        GetValueAsync(new ValueProviderContext(), cancellationToken);

    public async ValueTask<string?> GetValueAsync(ValueProviderContext context, CancellationToken cancellationToken = default)
    {
        var arguments = new object?[_values.Length];
        for (var i = 0; i < _values.Length; i++)
        {
            arguments[i] = ApplyFormat(await _values[i].GetValueAsync(context, cancellationToken), _formats[i]);
        }

        return string.Format(CultureInfo.InvariantCulture, Format, arguments);
    }

    public static ReferenceExpression Create(in ExpressionInterpolatedStringHandler handler) => handler.ToExpression();

    internal static string? ApplyFormat(string? value, string? format) => format switch
    {
        null or "" => value,
        UriFormat => value is null ? null : Uri.EscapeDataString(value),
        _ => throw new FormatException($"Unsupported format '{format}': values of a reference expression know only '{UriFormat}'."),
    };

    /// <summary>Collects the parts of an interpolated string.</summary>
    [InterpolatedStringHandler]
    public readonly ref struct ExpressionInterpolatedStringHandler(int literalLength, int formattedCount)
    {
        private readonly ReferenceExpressionBuilder _builder = new(literalLength + (formattedCount * 3));

        public void AppendLiteral(string value) => _builder.AppendLiteral(value);

        public void AppendFormatted(string? value) => _builder.AppendFormatted(value);

        public void AppendFormatted(string? value, string? format = null) => _builder.AppendFormatted(value, format);

        public void AppendFormatted<T>(T valueProvider)
            where T : IValueProvider, IManifestExpressionProvider => _builder.AppendFormatted(valueProvider);

        public void AppendFormatted<T>(T valueProvider, string? format = null)
            where T : IValueProvider, IManifestExpressionProvider => _builder.AppendFormatted(valueProvider, format);

        public void AppendFormatted<T>(IResourceBuilder<T> valueProvider)
            where T : IResource, IValueProvider, IManifestExpressionProvider => _builder.AppendFormatted(valueProvider.Resource);

        public void AppendFormatted<T>(IResourceBuilder<T> valueProvider, string? format = null)
            where T : IResource, IValueProvider, IManifestExpressionProvider => _builder.AppendFormatted(valueProvider.Resource, format);

        internal ReferenceExpression ToExpression() => _builder.Build();
    }
}
