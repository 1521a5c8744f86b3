package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/shuama/shuama/edge/hsm"
	"github.com/shuama/shuama/money"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/protocol/trust"
	"github.com/shuama/shuama/role/payment"
)

type trustCommand struct {
	Deny    trustDenyCommand    `cmd:"" help:"Put a user on the deny list."`
	Allow   trustAllowCommand   `cmd:"" help:"Take a user off the deny list."`
	Publish trustPublishCommand `cmd:"" help:"Sign a new trust bundle: keys, cards, deny list, clock policy."`
	Show    trustShowCommand    `cmd:"" help:"Explain a trust bundle."`
}

// trustSettings is what goes into a city's bundles beside its keys.
type trustSettings struct {
	CardTypes   []string       `json:"card_types"`
	FutureSec   int64          `json:"future_sec"`
	MaxSkewSec  uint16         `json:"max_skew_sec"`
	ValidCapSec uint16         `json:"valid_cap_sec"` // 0: none
	GraceLimit  string         `json:"grace_limit"`   // yuan; taken while a bundle is stale
	AlarmDays   int            `json:"alarm_days"`
	FreshDays   int            `json:"fresh_days"`
	DeadDays    int            `json:"dead_days"`
	Denied      []deniedMember `json:"denied"`
}

type deniedMember struct {
	User   string `json:"user"`
	Reason uint8  `json:"reason"`
}

func defaultTrust() trustSettings {
	return trustSettings{CardTypes: []string{string(ridecode.PlainCardType)}, FutureSec: ridecode.DefaultClock().FutureSec, MaxSkewSec: 60,
		GraceLimit: "5.00", AlarmDays: 3, FreshDays: 7, DeadDays: 30, Denied: []deniedMember{}}
}

// reasonByName reads the word of --reason.
func reasonByName(name string) (trust.DenyReason, error) {
	for word, reason := range map[string]trust.DenyReason{"unspecified": trust.DenyUnspecified, "unpaid": trust.DenyUnpaid,
		"lost": trust.DenyLost, "fraud": trust.DenyFraud, "closed": trust.DenyClosed} {
		if word == name {
			return reason, nil
		}
	}
	return 0, errors.New("--reason: none of unspecified, unpaid, lost, fraud, closed")
}

type trustDenyCommand struct {
	Dir    string `arg:"" help:"The city's folder." type:"existingdir"`
	User   string `arg:"" help:"The user's number."`
	Reason string `help:"unspecified, unpaid, lost, fraud or closed." default:"unspecified"`
}

// Help shows how it is used.
func (trustDenyCommand) Help() string {
	return `Gates learn of it from the next bundle: run shuama trust publish.

Example:
  shuama trust deny city 2088000011112222 --reason unpaid`
}

// Run denies the account, whatever code it shows.
func (c *trustDenyCommand) Run(w *world) error {
	reason, err := reasonByName(c.Reason)
	if err != nil {
		return err
	}
	return changeDenied(w, c.Dir, c.User, func(denied []deniedMember) []deniedMember {
		return append(denied, deniedMember{User: c.User, Reason: uint8(reason)})
	})
}

type trustAllowCommand struct {
	Dir  string `arg:"" help:"The city's folder." type:"existingdir"`
	User string `arg:"" help:"The user's number."`
}

// Help shows how it is used.
func (trustAllowCommand) Help() string {
	return "Example:\n  shuama trust allow city 2088000011112222"
}

// Run takes the user off the list.
func (c *trustAllowCommand) Run(w *world) error {
	return changeDenied(w, c.Dir, c.User, func(denied []deniedMember) []deniedMember { return denied })
}

// changeDenied takes the user off the list, and has add put it back in another way.
func changeDenied(w *world, dir, user string, add func([]deniedMember) []deniedMember) error {
	if _, err := parseUser(user); err != nil {
		return err
	}
	return changeCity(dir, func(home *city) error {
		without := slices.DeleteFunc(home.settings.Trust.Denied, func(d deniedMember) bool { return d.User == user })
		home.settings.Trust.Denied = add(without)
		if err := home.save(); err != nil {
			return err
		}
		_, err := fmt.Fprintf(w.stdout, "The deny list has %d users. Next: shuama trust publish %s\n", len(home.settings.Trust.Denied), dir)
		return err
	})
}

type trustPublishCommand struct {
	Dir string `arg:"" help:"The city's folder." type:"existingdir"`
	bookFlags
	sealFlags
}

// Help shows how it is used.
func (trustPublishCommand) Help() string {
	return `A running gateway gives the new bundle to terminals that ask; those that have an older one get what
has changed. Riders whom the books deny (shuama account denied) are on its deny list, and off it once they may
ride again; so are virtual cards that were revoked or stopped, for as long as an older grant of theirs may hold.

Example:
  shuama trust publish city`
}

// Run signs the next bundle, and deltas from the ones before it.
func (c *trustPublishCommand) Run(w *world) error {
	sealer, err := c.sealer(c.Dir)
	if err != nil {
		return err
	}
	riders, err := c.deniedRiders(w)
	if err != nil {
		return err
	}
	cards, err := c.deniedCards(w)
	if err != nil {
		return err
	}
	return changeCity(c.Dir, func(home *city) error {
		bundle, err := home.publish(sealer, w.now().UTC().Truncate(time.Second), riders, cards...)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(w.stdout, "Published %s.\n%s\n", home.bundlePath(bundle.Serial()), bundle.Report())
		return err
	})
}

// deniedRiders is whom the books put on the deny list.
func (c *trustPublishCommand) deniedRiders(w *world) (riders []deniedMember, err error) {
	err = withBooks(w, c.Dir, c.bookFlags, func(_ *city, b *books) error {
		denied, err := b.Denied(w.context, w.now().UTC())
		for _, d := range denied {
			reason := trust.DenyUnspecified
			switch {
			case d.OwedFen > 0:
				reason = trust.DenyUnpaid
			case d.Doubles > 0 || slices.Contains(d.Rules, payment.RuleTravel) || slices.Contains(d.Rules, payment.RuleVelocity):
				reason = trust.DenyFraud
			}
			riders = append(riders, deniedMember{User: string(d.User), Reason: uint8(reason)})
		}
		return err
	})
	return riders, err
}

// deltasBack is from how many bundles back a terminal gets only what has changed.
const deltasBack = 8

func (c *city) publish(sealer hsm.Sealer, now time.Time, riders []deniedMember, cards ...trust.DeniedCard) (*trust.Bundle, error) {
	signer, authority, err := c.openAuthority(sealer)
	if err != nil {
		return nil, err
	}
	trusted, err := readAuthority(c.path("authority.pub")) // two lines while a key is being replaced
	if err != nil {
		return nil, err
	}
	before, err := c.publishedBefore(trusted)
	if err != nil {
		return nil, err
	}
	draft, err := c.draft(before, now, riders, cards)
	if err != nil {
		return nil, err
	}
	raw, err := draft.Sign(signer)
	if err != nil {
		return nil, err
	}
	u, err := trust.Parse(raw)
	if err != nil {
		return nil, err
	}
	bundle, err := u.Verify(authority)
	if err != nil {
		return nil, err
	}
	if err := c.writeDeltas(before, bundle, signer); err != nil {
		return nil, err
	}
	return bundle, replaceFile(c.bundlePath(bundle.Serial()), raw, 0o644)
}

// publishedBefore reads the last bundles, oldest first.
func (c *city) publishedBefore(authority trust.Authority) ([]*trust.Bundle, error) {
	if err := os.MkdirAll(c.path("trust"), 0o755); err != nil {
		return nil, err
	}
	paths, err := c.bundlePaths()
	if err != nil {
		return nil, err
	}
	var bundles []*trust.Bundle
	for _, path := range paths[max(0, len(paths)-deltasBack):] {
		bundle, err := readBundle(path, authority)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		bundles = append(bundles, bundle)
	}
	return bundles, nil
}

// bundlePaths are the published bundles, oldest first.
func (c *city) bundlePaths() ([]string, error) {
	entries, err := os.ReadDir(c.path("trust"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var paths []string
	for _, entry := range entries { // sorted by name, and serials have leading zeros
		if strings.HasSuffix(entry.Name(), ".bundle") {
			paths = append(paths, filepath.Join(c.path("trust"), entry.Name()))
		}
	}
	return paths, err
}

func readBundle(path string, authority trust.Authority) (*trust.Bundle, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	u, err := trust.Parse(raw)
	if err != nil {
		return nil, err
	}
	return u.Verify(authority)
}

func (c *city) writeDeltas(before []*trust.Bundle, bundle *trust.Bundle, signer trust.Signer) error {
	for _, from := range before {
		delta, err := trust.NewDelta(from, bundle, signer)
		if err != nil {
			return err
		}
		if err := replaceFile(c.deltaPath(from.Serial(), bundle.Serial()), delta, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func (c *city) bundlePath(serial uint64) string {
	return c.path(fmt.Sprintf("trust/%010d.bundle", serial))
}

func (c *city) deltaPath(from, to uint64) string {
	return c.path(fmt.Sprintf("trust/%010d-%010d.delta", from, to))
}

// draft is the next bundle: riders are denied beside those whom people have put on the list. A section whose
// content is as before keeps its version.
func (c *city) draft(before []*trust.Bundle, now time.Time, riders []deniedMember, cards []trust.DeniedCard) (trust.Draft, error) {
	t := c.settings.Trust
	grace, err := money.ParseYuan(t.GraceLimit)
	if err != nil {
		return trust.Draft{}, fmt.Errorf("city.json: trust.grace_limit: %w", err)
	}
	keys, err := c.keyList()
	if err != nil {
		return trust.Draft{}, err
	}
	days := func(count int) time.Time { return now.AddDate(0, 0, count) }
	draft := trust.Draft{Serial: 1, Issued: now, AlarmFrom: days(t.AlarmDays), StaleAfter: days(t.FreshDays), DeadAfter: days(t.DeadDays),
		GraceLimitFen: grace, Versions: trust.Versions{Keys: 1, CardRules: 1, DenyList: 1, Clock: 1},
		Clock: trust.Clock{Policy: ridecode.ClockPolicy{FutureSec: t.FutureSec}, MaxSkewSec: t.MaxSkewSec, ValidCapSec: t.ValidCapSec}}
	for _, key := range keys {
		draft.Keys = append(draft.Keys, key.Encode())
	}
	for _, cardType := range t.CardTypes {
		draft.CardRules = append(draft.CardRules, trust.CardRule{Type: ridecode.CardType(cardType), AnyInstitution: true, AnyClass: true})
	}
	named := map[string]bool{}
	for _, denied := range slices.Concat(t.Denied, riders) {
		if !named[denied.User] {
			draft.DeniedUsers = append(draft.DeniedUsers, trust.DeniedUser{User: ridecode.UserID(denied.User), Reason: trust.DenyReason(denied.Reason)})
		}
		named[denied.User] = true
	}
	draft.DeniedCards = cards
	if len(before) > 0 {
		follow(&draft, before[len(before)-1].Draft())
	}
	return draft, nil
}

// follow numbers a draft behind the one before it.
func follow(draft *trust.Draft, last trust.Draft) {
	draft.Serial = last.Serial + 1
	draft.Versions = last.Versions
	grow := func(version *uint32, changed bool) {
		if changed {
			*version++
		}
	}
	grow(&draft.Versions.Keys, !sameKeys(draft.Keys, last.Keys))
	grow(&draft.Versions.CardRules, !sameMembers(draft.CardRules, last.CardRules))
	grow(&draft.Versions.DenyList, !sameMembers(draft.DeniedUsers, last.DeniedUsers) || !sameMembers(draft.DeniedCards, last.DeniedCards))
	grow(&draft.Versions.Clock, draft.Clock != last.Clock)
}

func sameKeys(a, b []trust.EncodedKey) bool {
	return slices.EqualFunc(a, b, func(x, y trust.EncodedKey) bool {
		return x.ID == y.ID && x.Algorithm == y.Algorithm && bytes.Equal(x.Public, y.Public)
	})
}

// sameMembers compares lists whose order means nothing.
func sameMembers[T comparable](a, b []T) bool {
	count := map[T]int{}
	for _, member := range a {
		count[member]++
	}
	for _, member := range b {
		count[member]--
	}
	for _, left := range count {
		if left != 0 {
			return false
		}
	}
	return true
}

// openAuthority unseals the key that signs bundles.
func (c *city) openAuthority(sealer hsm.Sealer) (trust.SeedSigner, trust.Authority, error) {
	content, err := hsm.ReadSealed(c.path("authority.sealed"), sealer)
	if err != nil {
		return trust.SeedSigner{}, trust.Authority{}, err
	}
	seed, err := hex.DecodeString(string(content))
	if err != nil {
		return trust.SeedSigner{}, trust.Authority{}, errors.New("authority.sealed: what was sealed is not a key")
	}
	signer, err := trust.NewSeedSigner(seed)
	if err != nil {
		return trust.SeedSigner{}, trust.Authority{}, err
	}
	authority, err := trust.NewAuthority(signer.PublicKey())
	return signer, authority, err
}

// makeAuthority makes the key that signs bundles, and its public half for terminals.
func (c *city) makeAuthority(sealer hsm.Sealer) error {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	if err := hsm.WriteSealed(c.path("authority.sealed"), sealer, []byte(hex.EncodeToString(private.Seed()))); err != nil {
		return err
	}
	return replaceFile(c.path("authority.pub"), []byte(hex.EncodeToString(public)+"\n"), 0o644)
}

// readAuthority reads authority.pub: one key, or two while one is being replaced, a line each.
func readAuthority(path string) (trust.Authority, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return trust.Authority{}, err
	}
	var keys []ed25519.PublicKey
	for _, line := range strings.Fields(string(content)) {
		key, err := hex.DecodeString(line)
		if err != nil {
			return trust.Authority{}, fmt.Errorf("%s: not hex", path)
		}
		keys = append(keys, key)
	}
	return trust.NewAuthority(keys...)
}

// Newest is the newest bundle on disk (depot.Bundles).
func (c *city) Newest(context.Context) (uint64, []byte, error) {
	paths, err := c.bundlePaths()
	if err != nil || len(paths) == 0 {
		return 0, nil, err
	}
	newest := paths[len(paths)-1]
	var serial uint64
	if _, err := fmt.Sscanf(filepath.Base(newest), "%d.bundle", &serial); err != nil {
		return 0, nil, fmt.Errorf("%s: not the name of a bundle", newest)
	}
	content, err := os.ReadFile(newest)
	return serial, content, err
}

// Delta leads from a bundle to the newest one, where it was published (depot.Bundles).
func (c *city) Delta(ctx context.Context, from uint64) ([]byte, error) {
	newest, _, err := c.Newest(ctx)
	if err != nil {
		return nil, err
	}
	content, err := os.ReadFile(c.deltaPath(from, newest))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return content, err
}

type trustShowCommand struct {
	File      string `arg:"" help:"A trust bundle." type:"existingfile"`
	Authority string `help:"The authority's public key, as authority.pub." required:"" placeholder:"FILE" type:"existingfile"`
}

// Help shows how it is used.
func (trustShowCommand) Help() string {
	return "Example:\n  shuama trust show gate/trust.bundle --authority gate/authority.pub"
}

// Run explains a bundle: who signed it, what is in it, what could not be loaded, how old it is.
func (c *trustShowCommand) Run(w *world) error {
	authority, err := readAuthority(c.Authority)
	if err != nil {
		return err
	}
	bundle, err := readBundle(c.File, authority)
	var refused *trust.Refusal
	if errors.As(err, &refused) {
		fmt.Fprintln(w.stdout, refused)
		return refusal{}
	}
	if err != nil {
		return err
	}
	var text bytes.Buffer
	fmt.Fprintf(&text, "Trust bundle %d 信任包, issued %s, signed by the authority\n  %s\n  %s\n",
		bundle.Serial(), bundle.Issued().Format(time.RFC3339), bundle.Report(), bundle.Staleness(w.now().UTC()))
	for _, rejected := range bundle.Report().Rejected {
		fmt.Fprintf(&text, "  NOT LOADED: %s\n", rejected)
	}
	_, err = text.WriteTo(w.stdout)
	return err
}
