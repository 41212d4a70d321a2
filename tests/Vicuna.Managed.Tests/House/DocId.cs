using System.Reflection;

namespace Vicuna.Managed.Tests.House;

/// <summary>The names by which XML documentation files call methods (C# specification, annex D.4.2), as far as this library needs them.</summary>
internal static class DocId
{
    public static string Of(MethodBase method)
    {
        string arity = method.IsGenericMethod ? $"``{method.GetGenericArguments().Length}" : string.Empty;
        string[] parameters = [.. method.GetParameters().Select(parameter => Of(parameter.ParameterType))];
        string name = method.IsConstructor ? "#ctor" : method.Name;
        return $"M:{TypeName(method.DeclaringType!)}.{name}{arity}{(parameters.Length == 0 ? string.Empty : $"({string.Join(',', parameters)})")}";
    }

    private static string Of(Type type)
    {
        if (type.IsGenericParameter)
        {
            return (type.DeclaringMethod is null ? "`" : "``") + type.GenericParameterPosition;
        }

        if (type.HasElementType)
        {
            return Of(type.GetElementType()!) + (type.IsArray ? "[]" : type.IsByRef ? "@" : "*");
        }

        return type.IsGenericType
            ? $"{TypeName(type)[..TypeName(type).LastIndexOf('`')]}{{{string.Join(',', type.GetGenericArguments().Select(Of))}}}"
            : TypeName(type);
    }

    private static string TypeName(Type type)
    {
        Type definition = type.IsGenericType ? type.GetGenericTypeDefinition() : type;
        return definition.FullName!.Replace('+', '.');
    }
}
