using Vicuna.Managed.Kernels.Ops;
using Vicuna.Managed.Models;

namespace Vicuna.Managed.Serving;

/// <summary>
/// Pages of keys and values by the tokens that led to them, as a tree: a node is a page, its path from the root the tokens before it. A page here is
/// never written to again; who goes on from the middle of one takes a copy first (<see cref="KvCache.Reserve"/>). What is stored for a beginning is
/// bit for bit what any sequence with that beginning would compute, so sharing changes no result. What else decides
/// what is computed is the <see cref="PrefixKey"/>: each has a tree of its own. Not safe for concurrent use; references to pages are.
/// </summary>
internal sealed class PrefixCache : IDisposable
{
    private readonly List<Node> _roots = [];
    private long _clock;

    /// <summary>Pages in the trees.</summary>
    public int Pages { get; private set; }

    /// <summary>Finds the longest beginning of a sequence that is known, and holds its pages: <see cref="PrefixMatch.Dispose"/> lets go of them.</summary>
    /// <param name="tokens">The sequence's tokens.</param>
    /// <param name="key">Its tree.</param>
    /// <param name="most">Most positions to take.</param>
    public PrefixMatch Find(IReadOnlyList<int> tokens, PrefixKey key, int most)
    {
        List<KvPage> pages = [];
        int found = 0;
        Node? node = FindRoot(key);
        while (node is not null && found < most)
        {
            (Node? child, int common) = node.BestChild(tokens, found, Math.Min(KvShape.PagePositions, most - found));
            if (child is null || common == 0)
            {
                break;
            }

            child.LastUse = ++_clock;
            child.Page!.AddReference();
            pages.Add(child.Page);
            found += common;
            node = common == KvShape.PagePositions ? child : null;
        }

        return new PrefixMatch(pages, found);
    }

    /// <summary>
    /// Takes over what a sequence has computed, page by page, where it is not known yet. Where it is, the sequence gets the known page in the place of
    /// its own, so that both are in memory once.
    /// </summary>
    /// <param name="tokens">The sequence's tokens.</param>
    /// <param name="key">Its tree.</param>
    /// <param name="cache">Its keys and values.</param>
    /// <param name="positions">Positions to take over, up to the cache's length.</param>
    /// <returns>Pages that the sequence held alone before, and holds together with the tree now.</returns>
    public int Add(IReadOnlyList<int> tokens, PrefixKey key, KvCache cache, int positions)
    {
        if (positions == 0)
        {
            return 0;
        }

        int taken = 0;
        Node node = FindRoot(key) ?? AddRoot(key);
        for (int start = 0; start < positions; start += KvShape.PagePositions)
        {
            int count = Math.Min(KvShape.PagePositions, positions - start);
            KvPage page = cache.Pages[start / KvShape.PagePositions];
            (Node? child, int common) = node.BestChild(tokens, start, count);
            if (child is not null && common == count)
            {
                // Known already. A page that is known beyond the sequence's end holds more than the sequence may go on writing over.
                bool isSame = child.Tokens.Length == count && child.Page != page;
                taken += isSame ? 1 : 0;
                if (isSame)
                {
                    cache.ReplacePage(start / KvShape.PagePositions, child.Page!);
                }
            }
            else if (child is { IsFree: true } && common == child.Tokens.Length)
            {
                // The known page ends earlier: this one says the same and more. Only a last page can be short, so nothing hangs on it. One that
                // somebody holds stays, so that every page in memory is counted: here, or with the sequence that has room for it.
                child.Replace(Slice(tokens, start, count), page);
                taken++;
            }
            else
            {
                child = node.AddChild(Slice(tokens, start, count), page);
                Pages++;
                taken++;
            }

            child.LastUse = ++_clock;
            node = child;
        }

        return taken;
    }

    /// <summary>Lets go of pages that no sequence holds, those that were not used for the longest time first.</summary>
    /// <param name="wanted">How many.</param>
    /// <returns>Whether there were as many; if not, nothing has been let go of.</returns>
    public bool TryEvict(int wanted)
    {
        if (wanted <= 0)
        {
            return true;
        }

        PriorityQueue<Node, long> leaves = new();
        int free = FindFree(leaves);
        // Whoever holds a page holds those before it, so what hangs on a free page is free.
        if (free < wanted)
        {
            return false;
        }

        Evict(leaves, wanted);
        return true;
    }

    /// <summary>Lets go of all pages that no sequence holds.</summary>
    public void EvictAll()
    {
        PriorityQueue<Node, long> leaves = new();
        Evict(leaves, FindFree(leaves));
    }

    /// <summary>Lets go of all pages.</summary>
    public void Dispose()
    {
        Stack<Node> open = new(_roots);
        while (open.TryPop(out Node? node))
        {
            node.Page?.Release();
            foreach (Node child in node.Children)
            {
                open.Push(child);
            }
        }

        _roots.Clear();
        Pages = 0;
    }

    // Counts pages that no sequence holds, and collects those of them that nothing hangs on.
    private int FindFree(PriorityQueue<Node, long> leaves)
    {
        int free = 0;
        Stack<Node> open = new(_roots);
        while (open.TryPop(out Node? node))
        {
            free += node.IsFree ? 1 : 0;
            if (node.IsFree && node.Children.Count == 0)
            {
                leaves.Enqueue(node, node.LastUse);
            }

            foreach (Node child in node.Children)
            {
                open.Push(child);
            }
        }

        return free;
    }

    private void Evict(PriorityQueue<Node, long> leaves, int wanted)
    {
        for (int i = 0; i < wanted; i++)
        {
            Node leaf = leaves.Dequeue();
            Node parent = leaf.Parent!;
            parent.Children.Remove(leaf);
            leaf.Page!.Release();
            Pages--;
            if (parent.Parent is null && parent.Children.Count == 0)
            {
                _roots.Remove(parent);
            }
            else if (parent.IsFree && parent.Children.Count == 0)
            {
                leaves.Enqueue(parent, parent.LastUse);
            }
        }
    }

    private static int[] Slice(IReadOnlyList<int> tokens, int start, int count)
    {
        int[] slice = new int[count];
        for (int i = 0; i < count; i++)
        {
            slice[i] = tokens[start + i];
        }

        return slice;
    }

    private Node? FindRoot(PrefixKey key) => _roots.Find(root => root.Key.IsSameAs(key));

    private Node AddRoot(PrefixKey key)
    {
        Node root = new(null, [], null) { Key = key };
        _roots.Add(root);
        return root;
    }

    /// <summary>A page and what follows it; a root has none.</summary>
    private sealed class Node(Node? parent, int[] tokens, KvPage? page)
    {
        public Node? Parent { get; } = parent;

        public int[] Tokens { get; private set; } = tokens;

        public KvPage? Page { get; private set; } = page;

        public PrefixKey Key { get; init; }

        public List<Node> Children { get; } = [];

        public long LastUse { get; set; }

        // The tree's own reference is the only one.
        public bool IsFree => Page is { IsShared: false };

        public Node AddChild(int[] childTokens, KvPage childPage)
        {
            childPage.AddReference();
            Node child = new(this, childTokens, childPage);
            Children.Add(child);
            return child;
        }

        public void Replace(int[] newTokens, KvPage newPage)
        {
            newPage.AddReference();
            Page!.Release();
            (Tokens, Page) = (newTokens, newPage);
        }

        // The child with the longest common beginning, and its length.
        public (Node? Child, int Common) BestChild(IReadOnlyList<int> sequence, int start, int most)
        {
            (Node? best, int length) = (null, 0);
            foreach (Node child in Children)
            {
                int common = 0;
                int limit = Math.Min(most, child.Tokens.Length);
                while (common < limit && child.Tokens[common] == sequence[start + common])
                {
                    common++;
                }

                if (common > length)
                {
                    (best, length) = (child, common);
                }
            }

            return (best, length);
        }
    }
}
