using System.Collections;
using System.Collections.Concurrent;
using System.Collections.Specialized;
using System.ComponentModel;
using System.Reflection;
using System.Windows.Input;

namespace Vicuna.Managed.Samples.Tests.Desktop;

/// <summary>Hears every change that view models raise, through all that hangs on them, as a bound window would, and notes on which thread it came.</summary>
internal sealed class ChangeRecorder(UiThread ui)
{
    private readonly ConcurrentDictionary<object, bool> _heard = new(ReferenceEqualityComparer.Instance);
    private readonly ConcurrentDictionary<string, int> _counts = [];

    /// <summary>Changes that came on another thread.</summary>
    public ConcurrentQueue<string> OffThread { get; } = [];

    /// <summary>Changes in all.</summary>
    public int Total => _counts.Values.Sum();

    /// <summary>How often a property changed, of all objects of a type.</summary>
    public int Count(string type, string property) => _counts.GetValueOrDefault($"{type}.{property}");

    /// <summary>Listens to an object and to what its properties hold.</summary>
    public void Listen(object subject)
    {
        if (!_heard.TryAdd(subject, true))
        {
            return;
        }

        string name = subject.GetType().Name;
        if (subject is INotifyPropertyChanged changing)
        {
            changing.PropertyChanged += (_, change) =>
            {
                Note($"{name}.{change.PropertyName}");
                ListenToProperties(subject);
            };
        }

        if (subject is INotifyCollectionChanged collection)
        {
            collection.CollectionChanged += (_, change) =>
            {
                Note($"{name}.{change.Action}");
                ListenToAll(change.NewItems);
            };
            ListenToAll(subject as IEnumerable);
        }

        if (subject is INotifyDataErrorInfo validated)
        {
            validated.ErrorsChanged += (_, change) => Note($"{name}.errors of {change.PropertyName}");
        }

        if (subject is ICommand command)
        {
            command.CanExecuteChanged += (_, _) => Note($"{name}.CanExecute");
        }

        ListenToProperties(subject);
    }

    private void ListenToAll(IEnumerable? items)
    {
        foreach (object item in items ?? Array.Empty<object>())
        {
            Listen(item);
        }
    }

    private void ListenToProperties(object subject)
    {
        foreach (PropertyInfo property in subject.GetType().GetProperties().Where(property => property.GetIndexParameters().Length == 0))
        {
            if (property.PropertyType.IsAssignableTo(typeof(INotifyPropertyChanged))
                || property.PropertyType.IsAssignableTo(typeof(INotifyCollectionChanged))
                || property.PropertyType.IsAssignableTo(typeof(ICommand)))
            {
                if (property.GetValue(subject) is { } value)
                {
                    Listen(value);
                }
            }
        }
    }

    private void Note(string change)
    {
        _counts.AddOrUpdate(change, 1, static (_, count) => count + 1);
        if (!ui.IsCurrent)
        {
            OffThread.Enqueue($"{change}{Environment.NewLine}{Environment.StackTrace}");
        }
    }
}
