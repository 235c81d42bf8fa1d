using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text;

namespace Aspire.Hosting.ApplicationModel;

/// <summary>Builds a <see cref="ReferenceExpression"/> piece by piece.</summary>
public class ReferenceExpressionBuilder
{
    private readonly StringBuilder _format;
    private readonly List<IValueProvider> _values = [];
    private readonly List<string?> _formats = [];

    public ReferenceExpressionBuilder()
        : this(capacity: 16)
    {
    }

    internal ReferenceExpressionBuilder(int capacity) => _format = new StringBuilder(capacity);

    public bool IsEmpty => _format.Length == 0;

    public void AppendLiteral(string value) =>
        _format.Append(value.Replace("{", "{{", StringComparison.Ordinal).Replace("}", "}}", StringComparison.Ordinal));

    public void AppendFormatted(string? value) => AppendFormatted(value, format: null);

    public void AppendFormatted(string? value, string? format = null)
    {
        if (ReferenceExpression.ApplyFormat(value, format) is { } text)
        {
            AppendLiteral(text);
        }
    }

    public void AppendFormatted<T>(T valueProvider)
        where T : IValueProvider, IManifestExpressionProvider => AppendFormatted(valueProvider, format: null);

    public void AppendFormatted<T>(T valueProvider, string? format = null)
        where T : IValueProvider, IManifestExpressionProvider => AppendValueProvider(valueProvider, format);

    /// <exception cref="ArgumentException">The object is not both a value and a manifest expression.</exception>
    public void AppendValueProvider(object valueProvider, string? format = null)
    {
        if (valueProvider is not (IValueProvider value and IManifestExpressionProvider))
        {
            throw new ArgumentException("A value provider must be both an IValueProvider and an IManifestExpressionProvider.",
                nameof(valueProvider));
        }

        _format.Append('{').Append(_values.Count.ToString(CultureInfo.InvariantCulture)).Append('}');
        _values.Add(value);
        _formats.Add(format);
    }

    [SuppressMessage("Performance", "CA1822",
        Justification = "The handler is made with this builder and has written into it before the call.")]
    public void Append([InterpolatedStringHandlerArgument("")] in ReferenceExpressionBuilderInterpolatedStringHandler handler)
    {
    }

    public ReferenceExpression Build() => new(_format.ToString(), [.. _values], [.. _formats]);

    /// <summary>Writes the parts of an interpolated string straight into the builder.</summary>
    [InterpolatedStringHandler]
    public readonly ref struct ReferenceExpressionBuilderInterpolatedStringHandler(
        int literalLength, int formattedCount, ReferenceExpressionBuilder builder)
    {
        private readonly ReferenceExpressionBuilder _builder = Reserve(builder, literalLength + (formattedCount * 3));

        public void AppendLiteral(string value) => _builder.AppendLiteral(value);

        public void AppendFormatted(string? value) => _builder.AppendFormatted(value);

        public void AppendFormatted(string? value, string? format = null) => _builder.AppendFormatted(value, format);

        public void AppendFormatted<T>(T valueProvider)
            where T : IValueProvider, IManifestExpressionProvider => _builder.AppendFormatted(valueProvider);

        public void AppendFormatted<T>(T valueProvider, string? format = null)
            where T : IValueProvider, IManifestExpressionProvider => _builder.AppendFormatted(valueProvider, format);

        private static ReferenceExpressionBuilder Reserve(ReferenceExpressionBuilder builder, int characters)
        {
            builder._format.EnsureCapacity(builder._format.Length + characters);
            return builder;
        }
    }
}
