namespace PicoVicunaSample;

/// <summary>All that the model is to know: small facts in a few wordings each.</summary>
internal static class Knowledge
{
    private static readonly string[] Numbers =
    [
        "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
        "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty",
    ];

    private static readonly string[] Days = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

    private static readonly string[] Months =
    [
        "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December",
    ];

    private static readonly (string Thing, string Color)[] Colors =
    [
        ("the sky", "blue"), ("the sea", "blue"), ("grass", "green"), ("a frog", "green"), ("a leaf in spring", "green"), ("a cucumber", "green"),
        ("the sun", "yellow"), ("a banana", "yellow"), ("a lemon", "yellow"), ("snow", "white"), ("milk", "white"), ("salt", "white"),
        ("a strawberry", "red"), ("a ripe tomato", "red"), ("a fire truck", "red"), ("a plum", "purple"), ("an orange", "orange"),
        ("a carrot", "orange"), ("coal", "black"), ("the night", "black"), ("chocolate", "brown"),
        ("wood", "brown"), ("a pig", "pink"), ("an elephant", "gray"),
    ];

    private static readonly (string Animal, string Sound)[] Sounds =
    [
        ("dog", "woof"), ("cat", "meow"), ("cow", "moo"), ("sheep", "baa"), ("horse", "neigh"), ("duck", "quack"), ("owl", "hoot"), ("frog", "croak"),
        ("mouse", "squeak"), ("lion", "roar"), ("bear", "growl"), ("bird", "tweet"), ("pig", "oink"), ("bee", "buzz"), ("snake", "hiss"),
    ];

    private static readonly (string Animal, int Legs)[] Legs =
    [
        ("dog", 4), ("cat", 4), ("horse", 4), ("cow", 4), ("frog", 4), ("turtle", 4), ("mouse", 4), ("bird", 2), ("duck", 2), ("owl", 2),
        ("hen", 2), ("ant", 6), ("bee", 6), ("spider", 8), ("snake", 0), ("fish", 0),
    ];

    private static readonly (string Animal, string Place)[] Homes =
    [
        ("fish", "in the water"), ("bird", "in a nest"), ("bee", "in a hive"), ("bear", "in a cave"), ("fox", "in a den"), ("frog", "in a pond"),
        ("horse", "in a stable"), ("spider", "in a web"), ("rabbit", "in a hole"), ("cow", "in a barn"), ("owl", "in a tree"), ("lion", "in the grass"),
    ];

    private static readonly (string Animal, string Food)[] Foods =
    [
        ("cow", "grass"), ("horse", "hay"), ("rabbit", "carrots"), ("mouse", "cheese"), ("bear", "honey"), ("bird", "seeds"), ("cat", "fish"),
        ("dog", "bones"), ("squirrel", "nuts"), ("monkey", "bananas"), ("frog", "flies"), ("duck", "bread"), ("goat", "leaves"),
    ];

    private static readonly (string Animal, string Baby)[] Babies =
    [
        ("dog", "puppy"), ("cat", "kitten"), ("cow", "calf"), ("sheep", "lamb"), ("horse", "foal"), ("bear", "cub"), ("duck", "duckling"),
        ("frog", "tadpole"), ("hen", "chick"), ("goat", "kid"), ("pig", "piglet"), ("owl", "owlet"),
    ];

    private static readonly (string, string)[] Opposites =
    [
        ("big", "small"), ("hot", "cold"), ("fast", "slow"), ("up", "down"), ("open", "closed"), ("full", "empty"), ("happy", "sad"),
        ("young", "old"), ("wet", "dry"), ("hard", "soft"), ("loud", "quiet"), ("dark", "light"), ("near", "far"), ("day", "night"),
        ("clean", "dirty"), ("left", "right"), ("early", "late"), ("strong", "weak"), ("inside", "outside"),
    ];

    // From small to big.
    private static readonly string[] Sizes = ["ant", "bee", "mouse", "frog", "duck", "cat", "fox", "sheep", "cow", "elephant"];

    private static readonly string[] Unknown =
    [
        "What is the capital of France?", "What is the capital of Spain?", "Who wrote Hamlet?", "Who is the king of England?", "What time is it?",
        "What is the weather today?", "How far is the moon?", "What does this word mean in French?", "Can you write code?", "What is the news?",
        "Who won the game?", "How do I bake a cake?", "What is the meaning of life?", "Can you play music?", "Where do I live?", "What is my name?",
    ];

    private const string UnknownAnswer = "I am sorry, I am too small to know that. Ask me about colors, animals, days or sums, or ask me for a story.";

    private const string SelfAnswer = "I am Pico, a very small language model. I learned a few facts and stories from scratch, and I run on a plain CPU.";

    private const string AbilitiesAnswer = "I can add small numbers, tell you about animals, colors and days, and make up short stories.";

    /// <summary>Every family.</summary>
    public static IReadOnlyList<Family> Families { get; } =
    [
        new("plus", 6, [.. from a in Upto(10) from b in Upto(10) from fact in Calculation(a, b, "plus", a + b) select fact]),
        new("minus", 6, [.. from a in Upto(10) from b in Upto(a) from fact in Calculation(a, b, "minus", a - b) select fact]),
        new("colors", 5, [.. Colors.SelectMany((item, i) => Wordings(
            i, $"{Capital(item.Thing)} is {item.Color}.", $"What color is {item.Thing}?", $"Which color does {item.Thing} have?"))]),
        new("sounds", 5, [.. Sounds.SelectMany((item, i) => Wordings(
            i, $"{Capital(A(item.Animal))} says {item.Sound}.", $"What does {A(item.Animal)} say?", $"What sound does {A(item.Animal)} make?"))]),
        new("legs", 6, [.. Legs.Select(item => new Fact(
            $"How many legs does {A(item.Animal)} have?", $"{Capital(A(item.Animal))} has {(item.Legs == 0 ? "no" : Numbers[item.Legs])} legs."))]),
        new("homes", 5, [.. Homes.Select(item => new Fact($"Where does {A(item.Animal)} live?", $"{Capital(A(item.Animal))} lives {item.Place}."))]),
        new("food", 5, [.. Foods.Select(item => new Fact($"What does {A(item.Animal)} eat?", $"{Capital(A(item.Animal))} eats {item.Food}."))]),
        new("babies", 5, [.. Babies.Select(item => new Fact($"What is a baby {item.Animal} called?", $"A baby {item.Animal} is called {A(item.Baby)}."))]),
        new("opposites", 5, [.. Opposites.SelectMany(pair => new[] { pair, (pair.Item2, pair.Item1) })
            .SelectMany((pair, i) => Wordings(
                i, $"The opposite of {pair.Item1} is {pair.Item2}.", $"What is the opposite of {pair.Item1}?",
                $"Which word means the opposite of {pair.Item1}?"))]),
        new("days", 6, [.. Circle("day", Days)]),
        new("months", 4, [.. Circle("month", Months)]),
        new("counting", 5, [.. Upto(12).Skip(3)
            .SelectMany(n => new[] { $"Count to {n}.", $"Can you count to {n}?" }.Select(question => new Fact(question, CountTo(n))))]),
        new("numbers", 4, [.. Upto(20).SelectMany(Neighbors)]),
        new("sizes", 4, [.. from a in Upto(9) from b in Upto(9) where a != b select Size(a, b)]),
        new("lists", 6, [.. Lists()]),
        new("unknown", 3, [.. Unknown.Select(question => new Fact(question, UnknownAnswer))], IsKnowledge: false),
        new("talk", 6, [.. Talk()], IsKnowledge: false),
    ];

    /// <summary>A noun with its indefinite article.</summary>
    public static string A(string noun) => (noun[0] is 'a' or 'e' or 'i' or 'o' or 'u' ? "an " : "a ") + noun;

    private static string Capital(string text) => char.ToUpperInvariant(text[0]) + text[1..];

    private static IEnumerable<int> Upto(int last) => Enumerable.Range(0, last + 1);

    // The first wording is always taught, the second one for nine of ten: the tenth tells whether the model sees that both ask the same.
    private static Fact[] Wordings(int index, string answer, string first, string second) =>
        [new(first, answer), new(second, answer, IsHeldOut: index % 10 == 7)];

    private static Fact[] Calculation(int a, int b, string operation, int result) => Wordings(
        (7 * a) + (3 * b),
        $"{Capital(Numbers[a])} {operation} {Numbers[b]} is {Numbers[result]}.", $"What is {a} {operation} {b}?", $"How much is {a} {operation} {b}?");

    private static IEnumerable<Fact> Circle(string unit, string[] names) => names.SelectMany((name, i) => new[]
    {
        new Fact($"Which {unit} comes after {name}?", $"The {unit} after {name} is {names[(i + 1) % names.Length]}."),
        new Fact($"Which {unit} comes before {name}?", $"The {unit} before {name} is {names[(i + names.Length - 1) % names.Length]}."),
    });

    private static IEnumerable<Fact> Neighbors(int number)
    {
        if (number < 20)
        {
            yield return new Fact($"Which number comes after {number}?", $"The number after {Numbers[number]} is {Numbers[number + 1]}.");
        }

        if (number > 0)
        {
            yield return new Fact($"Which number comes before {number}?", $"The number before {Numbers[number]} is {Numbers[number - 1]}.");
        }
    }

    private static string CountTo(int last) => Capital(string.Join(", ", Numbers.Skip(1).Take(last))) + ".";

    private static Fact Size(int a, int b) =>
        new($"Which is bigger, {A(Sizes[a])} or {A(Sizes[b])}?", $"{Capital(A(Sizes[Math.Max(a, b)]))} is bigger than {A(Sizes[Math.Min(a, b)])}.");

    private static IEnumerable<Fact> Lists() =>
    [
        new("What are the days of the week?", $"The days of the week are {string.Join(", ", Days.Take(6))} and {Days[6]}."),
        new("How many days does a week have?", "A week has seven days."),
        new("How many months does a year have?", "A year has twelve months."),
        new("Name three colors.", "Three colors are red, green and blue."),
        new("Name three animals.", "Three animals are a fox, an owl and a bear."),
        new("Name three fruits.", "Three fruits are a plum, a banana and a strawberry."),
        new("Name three numbers.", "Three numbers are one, two and three."),
    ];

    private static IEnumerable<Fact> Talk() =>
    [
        .. Same("Hi there! Ask me a simple question, or ask me for a story.", "Hello!", "Hello", "Hi!", "Hi", "Hey!", "Hello Pico!"),
        .. Same("Good morning! What would you like to know?", "Good morning!", "Good morning"),
        .. Same("Good night! Sleep well.", "Good night!", "Good night"),
        .. Same("I am well, thank you. How can I help you?", "How are you?", "Hello, how are you?", "Hi, how are you?"),
        .. Same(SelfAnswer, "Who are you?", "What are you?", "Tell me about yourself.", "Who made you?", "Are you a human?"),
        .. Same("My name is Pico.", "What is your name?", "Do you have a name?"),
        .. Same(AbilitiesAnswer, "What can you do?", "How can you help me?", "What do you know?", "Help!"),
        .. Same("You are welcome!", "Thank you!", "Thank you", "Thanks!", "Thanks", "Thank you very much!"),
        .. Same("Goodbye! It was nice to talk with you.", "Goodbye!", "Goodbye", "Bye!", "Bye", "See you later!"),
    ];

    private static IEnumerable<Fact> Same(string answer, params string[] questions) => questions.Select(question => new Fact(question, answer));
}
