using System.Buffers;
using System.Buffers.Binary;
using System.Buffers.Text;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Phoenix.Service.Storage;

namespace Phoenix.Service.Ingest.Decode;

/// <summary>
/// OTLP/JSON to the protobuf bytes of the same request, so that one decoder serves both encodings. Names are lowerCamelCase or snake_case,
/// ids hex or base64, 64-bit integers strings or numbers, enums numbers or names, doubles also "NaN", "Infinity", "-Infinity"; null and
/// unknown fields are skipped. An id that cannot be read is passed on as one byte: the decoder then rejects that one record. So are values
/// nested deeper than <see cref="MaxDepth"/>, as empty ones: the decoder cuts them earlier.
/// </summary>
internal static class OtlpJson
{
    /// <summary>Deepest nesting of the document that is read; every level of a nested attribute value takes four.</summary>
    public const int MaxDepth = 256;

    /// <summary>Longest document: above it a nested message could outgrow what <see cref="ProtobufWriter"/> can frame.</summary>
    public const int MaxBytes = 64 * 1024 * 1024;

    /// <summary>Appends the request to <paramref name="output"/>. Null, or what is wrong with the document and where.</summary>
    public static string? Transcode(Signal signal, ReadOnlySpan<byte> json, ProtobufWriter output)
    {
        if (json.Length > MaxBytes)
        {
            return $"A JSON body may have {MaxBytes} bytes at most.";
        }

        var reader = new Utf8JsonReader(
            json,
            new JsonReaderOptions { MaxDepth = int.MaxValue, CommentHandling = JsonCommentHandling.Disallow, AllowTrailingCommas = false });
        try
        {
            if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
            {
                return "The body must be a JSON object.";
            }

            var error = WriteMessage(ref reader, OtlpJsonSchema.For(signal), output);
            if (error is null && reader.Read())
            {
                return $"Text behind the JSON object at byte {reader.TokenStartIndex}.";
            }

            return error;
        }
        catch (JsonException exception)
        {
            // The reader knows no way to say this but to throw; it ends the request.
            return $"Malformed JSON at line {exception.LineNumber + 1}, byte {exception.BytePositionInLine}.";
        }
    }

    private static string? WriteMessage(ref Utf8JsonReader reader, JsonMessage message, ProtobufWriter output)
    {
        while (reader.Read() && reader.TokenType != JsonTokenType.EndObject)
        {
            // A name with escapes is none of ours; the reader would throw on half a surrogate pair in it.
            var field = reader.ValueIsEscaped ? null : message.Find(reader.ValueSpan);
            reader.Read();
            if (field is null)
            {
                reader.Skip();
                continue;
            }

            var error = reader.TokenType switch
            {
                JsonTokenType.Null => null,
                JsonTokenType.StartArray when field.Repeated => WriteList(ref reader, field, output),
                _ when field.Repeated => Unfit(ref reader, field),
                _ => WriteField(ref reader, field, output),
            };
            if (error is not null)
            {
                return error;
            }
        }

        return null;
    }

    private static string? WriteList(ref Utf8JsonReader reader, JsonField field, ProtobufWriter output)
    {
        var packed = field.Type != JsonFieldType.Message;
        var start = packed ? output.Begin(field.Number) : 0;
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            var error = packed ? WriteNumber(ref reader, field, output) : WriteField(ref reader, field, output);
            if (error is not null)
            {
                return error;
            }
        }

        if (packed)
        {
            output.End(start);
        }

        return null;
    }

    private static string? WriteField(ref Utf8JsonReader reader, JsonField field, ProtobufWriter output)
    {
        switch (field.Type)
        {
            case JsonFieldType.Message:
                if (reader.TokenType == JsonTokenType.Null)
                {
                    return null;
                }

                if (reader.TokenType != JsonTokenType.StartObject)
                {
                    return Unfit(ref reader, field);
                }

                if (reader.CurrentDepth > MaxDepth)
                {
                    reader.Skip();
                    return null;
                }

                var start = output.Begin(field.Number);
                var error = WriteMessage(ref reader, field.Message!, output);
                output.End(start);
                return error;
            case JsonFieldType.String or JsonFieldType.Bytes or JsonFieldType.Id:
                return reader.TokenType == JsonTokenType.String ? WriteText(ref reader, field, output) : Unfit(ref reader, field);
            default:
                output.WriteTag(field.Number, WireTypeOf(field.Type));
                return WriteNumber(ref reader, field, output);
        }
    }

    private static uint WireTypeOf(JsonFieldType type) => type switch
    {
        JsonFieldType.Fixed64 or JsonFieldType.Double => WireType.Fixed64,
        JsonFieldType.Fixed32 => WireType.Fixed32,
        _ => WireType.Varint,
    };

    private static string? WriteNumber(ref Utf8JsonReader reader, JsonField field, ProtobufWriter output)
    {
        if (field.Type == JsonFieldType.Double)
        {
            if (!TryReadDouble(ref reader, out var real))
            {
                return Unfit(ref reader, field);
            }

            output.WriteFixed64(BitConverter.DoubleToUInt64Bits(real));
            return null;
        }

        if (!TryReadInteger(ref reader, field, out var value))
        {
            return Unfit(ref reader, field);
        }

        switch (field.Type)
        {
            case JsonFieldType.Fixed64:
                output.WriteFixed64(value);
                break;
            case JsonFieldType.Fixed32:
                BinaryPrimitives.WriteUInt32LittleEndian(output.Reserve(4), (uint)value);
                output.Advance(4);
                break;
            case JsonFieldType.ZigZag:
                output.WriteVarint((ulong)(((long)value << 1) ^ ((long)value >> 63)));
                break;
            default:
                output.WriteVarint(value);
                break;
        }

        return null;
    }

    private static bool TryReadInteger(ref Utf8JsonReader reader, JsonField field, out ulong value)
    {
        switch (reader.TokenType)
        {
            case JsonTokenType.True or JsonTokenType.False when field.Type == JsonFieldType.Bool:
                value = reader.TokenType == JsonTokenType.True ? 1ul : 0;
                return true;
            case JsonTokenType.Number or JsonTokenType.String when field.Type != JsonFieldType.Bool:
                if (TryParseInteger(reader.ValueSpan, out value))
                {
                    return true;
                }

                if (field.Type == JsonFieldType.Enum && reader.TokenType == JsonTokenType.String)
                {
                    // A name this version does not know counts as unspecified, like a number it does not know.
                    value = (ulong)Math.Max(0, IndexOfName(reader.ValueSpan, field.EnumNames!));
                    return true;
                }

                return false;
            default:
                value = 0;
                return false;
        }
    }

    private static int IndexOfName(ReadOnlySpan<byte> text, string[] names)
    {
        for (var i = 0; i < names.Length; i++)
        {
            if (Ascii.Equals(text, names[i]))
            {
                return i;
            }
        }

        return -1;
    }

    /// <summary>A decimal integer of 64 bits, signed or unsigned; also one written as a whole double (1e3, 5.0).</summary>
    private static bool TryParseInteger(ReadOnlySpan<byte> text, out ulong value)
    {
        if (Utf8Parser.TryParse(text, out value, out var read) && read == text.Length)
        {
            return true;
        }

        if (Utf8Parser.TryParse(text, out long signed, out read) && read == text.Length)
        {
            value = (ulong)signed;
            return true;
        }

        if (text.Length > 0 && (char.IsAsciiDigit((char)text[0]) || text[0] == '-')
            && double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var real)
            && Math.Floor(real) == real && Math.Abs(real) < 9e18)
        {
            value = (ulong)(long)real;
            return true;
        }

        return false;
    }

    private static bool TryReadDouble(ref Utf8JsonReader reader, out double value)
    {
        // The invariant culture's names of the three special values are those of OTLP/JSON.
        value = 0;
        return reader.TokenType is JsonTokenType.Number or JsonTokenType.String
            && double.TryParse(reader.ValueSpan, NumberStyles.Float, CultureInfo.InvariantCulture, out value);
    }

    private static string? WriteText(ref Utf8JsonReader reader, JsonField field, ProtobufWriter output)
    {
        var start = output.Begin(field.Number);
        var text = reader.ValueSpan;
        var room = output.Reserve(text.Length + 3);
        var length = reader.ValueIsEscaped ? Unescape(text, room) : Copy(text, room);
        if (field.Type == JsonFieldType.Bytes && !TryDecodeBase64(room, ref length))
        {
            return $"Invalid base64 at byte {reader.TokenStartIndex}.";
        }

        if (field.Type == JsonFieldType.Id)
        {
            DecodeId(room, ref length);
        }

        output.Advance(length);
        output.End(start);
        return null;
    }

    private static int Copy(ReadOnlySpan<byte> text, Span<byte> target)
    {
        text.CopyTo(target);
        return text.Length;
    }

    /// <summary>Undoes JSON escapes, never longer than the text; half a surrogate pair becomes U+FFFD.</summary>
    private static int Unescape(ReadOnlySpan<byte> text, Span<byte> target)
    {
        var written = 0;
        while (!text.IsEmpty)
        {
            var escape = text.IndexOf((byte)'\\');
            var plain = escape < 0 ? text.Length : escape;
            text[..plain].CopyTo(target[written..]);
            written += plain;
            text = text[plain..];
            if (text.IsEmpty)
            {
                break;
            }

            if (text[1] != 'u')
            {
                target[written++] = text[1] switch
                {
                    (byte)'n' => (byte)'\n',
                    (byte)'r' => (byte)'\r',
                    (byte)'t' => (byte)'\t',
                    (byte)'b' => (byte)'\b',
                    (byte)'f' => (byte)'\f',
                    var same => same,
                };
                text = text[2..];
                continue;
            }

            var unit = UnitAt(text);
            text = text[6..];
            var rune = Rune.ReplacementChar;
            if (char.IsHighSurrogate(unit) && text.Length >= 6 && text[0] == '\\' && text[1] == 'u' && char.IsLowSurrogate(UnitAt(text)))
            {
                rune = new Rune(unit, UnitAt(text));
                text = text[6..];
            }
            else if (!char.IsSurrogate(unit))
            {
                rune = new Rune(unit);
            }

            written += rune.EncodeToUtf8(target[written..]);
        }

        return written;
    }

    private static char UnitAt(ReadOnlySpan<byte> escape) =>
        Utf8Parser.TryParse(escape.Slice(2, 4), out ushort unit, out _, 'x') ? (char)unit : '\uFFFD';

    private static bool TryDecodeBase64(Span<byte> text, ref int length)
    {
        var padded = (length + 3) / 4 * 4;
        for (var i = 0; i < length; i++)
        {
            text[i] = text[i] switch
            {
                (byte)'-' => (byte)'+',
                (byte)'_' => (byte)'/',
                var same => same,
            };
        }

        text[length..padded].Fill((byte)'=');
        return Base64.DecodeFromUtf8InPlace(text[..padded], out length) == OperationStatus.Done;
    }

    /// <summary>Text that is no id becomes one byte, a length no id has: an empty parent would make the span a root.</summary>
    private static void DecodeId(Span<byte> text, ref int length)
    {
        var id = text[..length];
        Span<byte> decoded = stackalloc byte[16];
        if (length is 16 or 32 && Convert.FromHexString(id, decoded, out _, out var count) == OperationStatus.Done)
        {
            decoded[..count].CopyTo(text);
            length = count;
            return;
        }

        Span<byte> padded = stackalloc byte[24];
        if (length is 11 or 12 or 22 or 24)
        {
            id.CopyTo(padded);
            if (TryDecodeBase64(padded, ref length) && length is 8 or 16)
            {
                padded[..length].CopyTo(text);
                return;
            }
        }

        length = Math.Min(id.Length, 1);
    }

    private static string Unfit(ref Utf8JsonReader reader, JsonField field) =>
        $"A value of {field.Type} was expected at byte {reader.TokenStartIndex}, got {reader.TokenType}.";
}
