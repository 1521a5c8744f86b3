package trust

import "bytes"

// denyEntry is a user or a card with its reason, as bytes that sort.
type denyEntry struct {
	key    []byte
	reason byte
}

func (l *denyList) userEntries() []denyEntry {
	entries := make([]denyEntry, 0, l.userCount())
	for i, reason := range l.userReasons {
		entries = append(entries, denyEntry{l.users[i*userSize : (i+1)*userSize], reason})
	}
	return entries
}

func (l *denyList) cardEntries() []denyEntry {
	entries := make([]denyEntry, 0, len(l.cardAt))
	for _, at := range l.cardAt {
		entries = append(entries, denyEntry{l.cardKey(at), byte(l.cardReason(at))})
	}
	return entries
}

func listOf(users, cards []denyEntry) denyList {
	var l denyList
	for _, e := range users {
		l.users, l.userReasons = append(l.users, e.key...), append(l.userReasons, e.reason)
	}
	for _, e := range cards {
		l.addCard(e.key, DenyReason(e.reason))
	}
	return l
}

// patch is the list without removed, with added. It is made for diff's answers; what it makes of others
// does not have the digest that the delta announces.
func (l *denyList) patch(removed, added *denyList) denyList {
	return listOf(patchEntries(l.userEntries(), removed.userEntries(), added.userEntries()),
		patchEntries(l.cardEntries(), removed.cardEntries(), added.cardEntries()))
}

// patchEntries walks through three ascending lists at once. An entry goes only with the reason that
// it has, so that no byte of a delta is without meaning.
func patchEntries(old, removed, added []denyEntry) []denyEntry {
	out := make([]denyEntry, 0, len(old)+len(added))
	for _, e := range old {
		if len(removed) > 0 && bytes.Equal(removed[0].key, e.key) && removed[0].reason == e.reason {
			removed = removed[1:]
			continue
		}
		for len(added) > 0 && bytes.Compare(added[0].key, e.key) < 0 {
			out, added = append(out, added[0]), added[1:]
		}
		out = append(out, e)
	}
	return append(out, added...)
}

// diff is what patch needs to make to of the list.
func (l *denyList) diff(to *denyList) (removed, added denyList) {
	removedUsers, addedUsers := diffEntries(l.userEntries(), to.userEntries())
	removedCards, addedCards := diffEntries(l.cardEntries(), to.cardEntries())
	return listOf(removedUsers, removedCards), listOf(addedUsers, addedCards)
}

func diffEntries(old, new []denyEntry) (removed, added []denyEntry) {
	for len(old) > 0 && len(new) > 0 {
		order := bytes.Compare(old[0].key, new[0].key)
		if order == 0 && old[0].reason != new[0].reason {
			removed, added = append(removed, old[0]), append(added, new[0])
		}
		if order < 0 {
			removed = append(removed, old[0])
		}
		if order > 0 {
			added = append(added, new[0])
		}
		if order <= 0 {
			old = old[1:]
		}
		if order >= 0 {
			new = new[1:]
		}
	}
	return append(removed, old...), append(added, new...)
}
