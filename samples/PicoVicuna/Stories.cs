namespace PicoVicunaSample;

/// <summary>Makes up stories out of a hero, a friend, a place, a thing, and what happens with them.</summary>
internal static class Stories
{
    private static readonly string[] Animals =
    [
        "fox", "cat", "dog", "bear", "mouse", "rabbit", "owl", "duck", "frog", "horse", "turtle", "bird", "squirrel", "hedgehog", "goat", "sheep",
    ];

    private static readonly (string Name, string He, string His)[] Names =
    [
        .. new[] { "Tom", "Max", "Ben", "Leo", "Sam", "Finn", "Jack", "Tim", "Oscar", "Paul", "Hugo", "Emil" }.Select(name => (name, "he", "his")),
        .. new[] { "Anna", "Mia", "Lucy", "Rosa", "Nina", "Lily", "Ella", "Sara", "Ida", "Vera", "Zoe", "Kate" }.Select(name => (name, "she", "her")),
    ];

    private static readonly string[] Traits = ["little", "clever", "brave", "shy", "kind", "funny", "curious", "gentle", "sleepy", "happy", "old", "quick"];

    private static readonly string[] Weathers = ["sunny", "rainy", "windy", "snowy", "warm", "cold"];

    private static readonly (string In, string To)[] Places =
    [
        ("in the forest", "to the forest"), ("in the garden", "to the garden"), ("in the park", "to the park"), ("in the village", "to the village"),
        ("in the valley", "to the valley"), ("on the farm", "to the farm"), ("on the hill", "to the hill"), ("on the beach", "to the beach"),
        ("at the lake", "to the lake"), ("at the river", "to the river"), ("at the market", "to the market"), ("at the mill", "to the mill"),
    ];

    private static readonly string[] Things =
    [
        "red ball", "blue hat", "yellow kite", "green boat", "golden coin", "silver bell", "wooden box", "shiny key",
        "warm blanket", "big map", "small lamp", "sweet apple",
    ];

    // Those after the fifth have no thing in them.
    private const int PlotsWithThing = 5;

    private static readonly string[] Plots =
    [
        "One day, the {thing} was gone. \"Please help me to find it,\" {name} said to {friend}. "
            + "They looked under every stone, and there it was, behind an apple tree.",
        "There {name} saw {a-thing} in the grass. "
            + "{Friend} came by and said, \"That one is mine.\" {name} gave it back at once, and so they played with it together.",
        "{name} wanted to cross the water with {his} {thing}, but {he} could not swim. "
            + "{Friend} laid a long branch from one side to the other. Step by step, {name} walked over.",
        "It was the birthday of {friend}, but nobody had come. {name} brought {a-thing} as a gift. They sat down and ate cake until the moon was up.",
        "Under a stone {he} found a letter. {Friend} could read it, and they followed it all day. At the end of the path lay {a-thing}, and they took it home.",
        "When the evening came, a storm shook the trees. {Friend} was cold and wet. "
            + "\"Come in, there is room for two,\" called {name}, and they shared a hot soup.",
        "{Friend} wanted to race to the old tree. {name} was fast, but {he} stopped when {his} friend fell down. They went on side by side and won together.",
        "At night {name} could not sleep and counted the stars. Far away, {friend} sang a quiet song. {name} sang along, and soon the stars were all asleep.",
    ];

    private static readonly string[] Endings =
    [
        "From that day on, {name} and the {friend-kind} were good friends.",
        "{name} went home and told everyone about it.",
        "And {name} learned that two can do more than one.",
        "That night, {name} slept very well.",
        "Since then they meet {in} every day.",
    ];

    /// <summary>Makes up a story.</summary>
    /// <param name="random">Chooses.</param>
    /// <param name="isHeldOut">Whether the hero is one that training never meets: an animal of a name that only others have there.</param>
    public static Story Next(SplitMix random, bool isHeldOut)
    {
        int animal;
        int nameIndex;
        do
        {
            animal = random.Next(Animals.Length);
            nameIndex = random.Next(Names.Length);
        }
        while (((5 * animal) + nameIndex) % 16 == 3 != isHeldOut);

        string kind = Animals[animal];
        string friend = Animals[(animal + 1 + random.Next(Animals.Length - 1)) % Animals.Length];
        (string name, string he, string his) = Names[nameIndex];
        (string @in, string to) = random.Of(Places);
        string thing = random.Of(Things);
        string hero = $"{Knowledge.A($"{random.Of(Traits)} {kind}")} named {name}";
        string opening = random.Next(5) switch
        {
            0 or 1 => $"Once upon a time, there was {hero} who lived {@in}.",
            2 => $"One {random.Of(Weathers)} day, {hero} went {to}.",
            3 => $"Long ago, {hero} lived {@in}.",
            _ => $"This is the story of {hero} who lived {@in}.",
        };
        int plot = random.Next(Plots.Length);
        string text = $"{opening} {Plots[plot]} {random.Of(Endings)}"
            .Replace("{name}", name, StringComparison.Ordinal).Replace("{he}", he, StringComparison.Ordinal).Replace("{his}", his, StringComparison.Ordinal)
            .Replace("{friend}", Knowledge.A(friend), StringComparison.Ordinal).Replace("{Friend}", $"A{Knowledge.A(friend)[1..]}", StringComparison.Ordinal)
            .Replace("{friend-kind}", friend, StringComparison.Ordinal).Replace("{a-thing}", $"a {thing}", StringComparison.Ordinal)
            .Replace("{thing}", thing, StringComparison.Ordinal).Replace("{in}", @in, StringComparison.Ordinal);
        return new Story(Request(random, kind, name, @in, plot < PlotsWithThing ? thing : null), text);
    }

    private static string Request(SplitMix random, string kind, string name, string place, string? thing) => random.Next(thing is null ? 9 : 10) switch
    {
        0 => "Tell me a story.",
        1 => random.Of<string>(["Please tell me a short story.", "I want to hear a story.", "Can you tell me a story?"]),
        2 or 3 => $"Tell me a story about {Knowledge.A(kind)}.",
        4 => $"Can you tell me a story about {Knowledge.A(kind)}?",
        5 => $"Please write a short story about {Knowledge.A(kind)}.",
        6 or 7 => $"Tell me a story about {Knowledge.A(kind)} named {name}.",
        8 => $"Tell me a story about {Knowledge.A(kind)} {place}.",
        _ => $"Write a story with a {thing}.",
    };
}
