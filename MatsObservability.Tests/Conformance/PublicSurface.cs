using System.Reflection;
using System.Runtime.CompilerServices;

namespace MatsObservability.Tests.Conformance;

/// <summary>
/// The public types and members of an assembly as normalised text: types by their C# names, parameters with their names, optional ones with
/// <c>=</c>.
/// </summary>
internal static class PublicSurface
{
    private const BindingFlags Declared = BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Instance | BindingFlags.Static
        | BindingFlags.DeclaredOnly;

    private static readonly Dictionary<Type, string> s_keywords = new()
    {
        [typeof(void)] = "void",
        [typeof(object)] = "object",
        [typeof(string)] = "string",
        [typeof(bool)] = "bool",
        [typeof(int)] = "int",
        [typeof(char)] = "char",
    };

    public static IEnumerable<string> Of(Assembly assembly, string namespacePrefix) => assembly.GetTypes()
        .Where(type => type.IsVisible && type.Namespace?.StartsWith(namespacePrefix, StringComparison.Ordinal) == true)
        .SelectMany(Of)
        .Order(StringComparer.Ordinal);

    private static IEnumerable<string> Of(Type type)
    {
        var name = type.Namespace + "." + Name(type);
        yield return $"{Kind(type)} {name}";
        foreach (var line in type.IsEnum ? EnumValues(type) : Members(type))
        {
            yield return $"{name}.{line}";
        }
    }

    private static IEnumerable<string> EnumValues(Type type) =>
        Enum.GetNames(type).Select(name => $"{name} = {Convert.ToInt32(Enum.Parse(type, name))}");

    private static IEnumerable<string> Members(Type type)
    {
        var isRecord = type.GetMethod("<Clone>$", Declared) is not null
            || (type.IsValueType && type.GetMethod("PrintMembers", Declared) is not null);
        foreach (var constructor in type.GetConstructors(Declared).Where(IsVisible))
        {
            if (!isRecord || constructor.IsPublic)
            {
                yield return $"ctor({Parameters(constructor)})";
            }
        }

        foreach (var field in type.GetFields(Declared).Where(field => field.IsPublic || field.IsFamily))
        {
            yield return $"{field.Name} : {Name(field.FieldType)}";
        }

        foreach (var property in type.GetProperties(Declared).Where(property => property.GetMethod is { } getter && IsVisible(getter)))
        {
            var setter = property.SetMethod is { } set && IsVisible(set)
                ? set.ReturnParameter.GetRequiredCustomModifiers().Contains(typeof(IsExternalInit)) ? " init;" : " set;"
                : "";
            yield return $"{property.Name} : {Name(property.PropertyType)} {{ get;{setter} }}";
        }

        foreach (var method in type.GetMethods(Declared).Where(method => IsVisible(method) && !IsImplied(method, isRecord)))
        {
            var generic = method.IsGenericMethod
                ? $"<{string.Join(", ", method.GetGenericArguments().Select(argument => argument.Name))}>"
                : "";
            yield return $"{method.Name}{generic}({Parameters(method)}) : {Name(method.ReturnType)}";
        }
    }

    /// <summary>Accessors, what records bring along, and overrides of members of <see cref="object"/>.</summary>
    private static bool IsImplied(MethodInfo method, bool isRecord) =>
        (method.IsSpecialName && !method.Name.StartsWith("op_Implicit", StringComparison.Ordinal))
        || method.GetBaseDefinition().DeclaringType == typeof(object)
        || (isRecord && method.Name is "<Clone>$" or "Equals" or "PrintMembers" or "Deconstruct" or "GetHashCode" or "ToString");

    private static bool IsVisible(MethodBase method) => method.IsPublic || method.IsFamily || method.IsFamilyOrAssembly;

    private static string Parameters(MethodBase method)
    {
        var isExtension = method.IsDefined(typeof(ExtensionAttribute), inherit: false);
        return (isExtension ? "this " : "") + string.Join(", ", method.GetParameters().Select(Parameter));
    }

    private static string Parameter(ParameterInfo parameter)
    {
        var modifier = parameter.IsDefined(typeof(ParamArrayAttribute), inherit: false) ? "params "
            : parameter.IsOut ? "out "
            : parameter.ParameterType.IsByRef ? "in "
            : "";
        return $"{modifier}{Name(parameter.ParameterType)} {parameter.Name}{(parameter.IsOptional ? "=" : "")}";
    }

    private static string Kind(Type type) => type switch
    {
        { IsEnum: true } => "enum",
        { IsInterface: true } => "interface",
        { IsValueType: true } => "struct",
        { IsAbstract: true, IsSealed: true } => "static class",
        { IsAbstract: true } => "abstract class",
        { IsSealed: true } => "sealed class",
        _ => "class",
    };

    private static string Name(Type type)
    {
        if (type.IsByRef)
        {
            return Name(type.GetElementType()!);
        }

        if (type.IsArray)
        {
            return Name(type.GetElementType()!) + "[]";
        }

        if (Nullable.GetUnderlyingType(type) is { } underlying)
        {
            return Name(underlying) + "?";
        }

        if (s_keywords.TryGetValue(type, out var keyword))
        {
            return keyword;
        }

        var name = type.Name.Split('`')[0];
        if (type.IsNested && !type.IsGenericParameter)
        {
            name = Name(type.DeclaringType!) + "." + name;
        }

        return type.IsGenericType ? $"{name}<{string.Join(", ", type.GetGenericArguments().Select(Name))}>" : name;
    }
}
