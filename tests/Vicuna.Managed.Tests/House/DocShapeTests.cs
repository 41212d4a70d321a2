using System.Reflection;
using System.Text.RegularExpressions;
using System.Xml.Linq;
using Vicuna.Managed.Kernels.Memory;

namespace Vicuna.Managed.Tests.House;

/// <summary>
/// Shapes in the documentation, read from what the compiler made of it: a span of numbers says <c>[rows, cols]</c>, in its own words or in
/// those of the member whose documentation it inherits.
/// </summary>
public sealed partial class DocShapeTests
{
    private const BindingFlags Declared = BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Static | BindingFlags.Instance | BindingFlags.DeclaredOnly;

    private static readonly Assembly Kernels = typeof(MemoryBlock).Assembly;
    private static readonly Assembly Library = typeof(LanguageModel).Assembly;
    private static readonly Dictionary<string, XElement> Docs = Load(Kernels).Concat(Load(Library)).ToDictionary();

    public static TheoryData<string> Arithmetic() =>
        [.. Methods(Kernels).Where(method => IsArithmetic(method.DeclaringType!) && SpansOfNumbers(method).Length > 0).Select(DocId.Of)];

    public static TheoryData<string> Described() =>
    [
        .. Methods(Kernels).Concat(Methods(Library))
            .Where(method => SpansOfNumbers(method).Length > 0 && Docs.TryGetValue(DocId.Of(method), out XElement? doc) && doc.Elements("param").Any())
            .Select(DocId.Of),
    ];

    [Theory]
    [MemberData(nameof(Arithmetic))]
    public void Spans_OfTheArithmetic_HaveShapes(string id) => CheckShapes(Find(id), id);

    [Theory]
    [MemberData(nameof(Described))]
    public void Spans_OfMembersWithDescribedParameters_HaveShapes(string id) => CheckShapes(Find(id), id);

    [Fact]
    public void Members_ThatTheRulesAreAbout_Exist()
    {
        Assert.True(Arithmetic().Count >= 20, $"{Arithmetic().Count} members of the arithmetic");
        Assert.True(Described().Count >= 20, $"{Described().Count} described members");
        Assert.All(Methods(Kernels).Where(method => IsArithmetic(method.DeclaringType!) && !method.IsSpecialName), method =>
            Assert.True(Docs.ContainsKey(DocId.Of(method)), $"{DocId.Of(method)} is not in the documentation, or this test spells its name wrong."));
    }

    private static void CheckShapes(MethodBase method, string id)
    {
        foreach (ParameterInfo parameter in SpansOfNumbers(method))
        {
            string text = Description(id, parameter.Name!) ?? string.Empty;
            Assert.True(ShapePattern().IsMatch(text), $"{id}: parameter '{parameter.Name}' has no shape [...] in its documentation: '{text}'");
        }
    }

    // A parameter's documentation, followed through inheritdoc.
    private static string? Description(string id, string parameter)
    {
        for (int step = 0; step < 4 && Docs.TryGetValue(id, out XElement? doc); step++)
        {
            XElement? own = doc.Elements("param").FirstOrDefault(element => element.Attribute("name")?.Value == parameter);
            if (own is not null)
            {
                return own.Value;
            }

            id = doc.Elements("inheritdoc").Attributes("cref").FirstOrDefault()?.Value ?? string.Empty;
        }

        return null;
    }

    // The classes of operations, and the formats' entry points; a format itself inherits the documentation of its interface.
    private static bool IsArithmetic(Type type) =>
        type.Namespace is "Vicuna.Managed.Kernels.Ops" or "Vicuna.Managed.Kernels.Formats" && ((type.IsAbstract && type.IsSealed) || type.Name == "IWeightFormat`1");

    private static ParameterInfo[] SpansOfNumbers(MethodBase method)
    {
        Type[] elements = method.DeclaringType!.Assembly == Kernels ? [typeof(float), typeof(double), typeof(byte)] : [typeof(float), typeof(double)];
        return
        [
            .. method.GetParameters().Where(parameter => parameter.ParameterType is { IsGenericType: true } type
                && (type.GetGenericTypeDefinition() == typeof(Span<>) || type.GetGenericTypeDefinition() == typeof(ReadOnlySpan<>))
                && elements.Contains(type.GenericTypeArguments[0])),
        ];
    }

    private static IEnumerable<MethodBase> Methods(Assembly assembly) =>
        assembly.GetTypes()
            .Where(type => !type.IsNestedPrivate && !type.Name.Contains('<') && !typeof(Delegate).IsAssignableFrom(type))
            .SelectMany(type => type.GetMethods(Declared).Cast<MethodBase>().Concat(type.GetConstructors(Declared)))
            .Where(method => !method.IsPrivate && !method.Name.Contains('<'));

    private static MethodBase Find(string id) => Methods(Kernels).Concat(Methods(Library)).Single(method => DocId.Of(method) == id);

    private static IEnumerable<KeyValuePair<string, XElement>> Load(Assembly assembly) =>
        XDocument.Load(Path.ChangeExtension(assembly.Location, ".xml")).Descendants("member")
            .Select(member => KeyValuePair.Create(member.Attribute("name")!.Value, member));

    [GeneratedRegex(@"\[[^\]]+\]")]
    private static partial Regex ShapePattern();
}
