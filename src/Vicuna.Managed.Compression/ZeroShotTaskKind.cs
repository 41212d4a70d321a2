namespace Vicuna.Managed.Compression;

/// <summary>Whose form the lines of a task's file have, and so how a question is put to the model. See <see cref="ZeroShotTask"/> for the forms.</summary>
public enum ZeroShotTaskKind
{
    /// <summary>Told by the fields of the file's first line.</summary>
    Auto,

    /// <summary>Any question with answers to choose from, put to the model as the file has it.</summary>
    MultipleChoice,

    /// <summary>BoolQ (Clark et al. 2019): a passage and a question that is answered by yes or no.</summary>
    BoolQ,

    /// <summary>PIQA (Bisk et al. 2020): a goal and two ways to get there.</summary>
    Piqa,

    /// <summary>HellaSwag (Zellers et al. 2019): how a story goes on.</summary>
    HellaSwag,

    /// <summary>WinoGrande (Sakaguchi et al. 2019): which of two words a sentence means.</summary>
    Winogrande,

    /// <summary>ARC (Clark et al. 2018): <see cref="ArcChallenge"/> if the file's name holds "challenge", <see cref="ArcEasy"/> otherwise.</summary>
    Arc,

    /// <summary>The easy questions of ARC, from grade-school science.</summary>
    ArcEasy,

    /// <summary>The questions of ARC that simple methods get wrong.</summary>
    ArcChallenge,

    /// <summary>OpenBookQA (Mihaylov et al. 2018): elementary science, the beginning of a sentence and ways to end it.</summary>
    OpenBookQa,
}
