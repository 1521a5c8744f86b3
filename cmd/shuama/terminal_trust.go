package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/shuama/shuama/edge/depot"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/protocol/trust"
	"github.com/shuama/shuama/role/terminal"
)

// gateTrust is the trust bundle that a gate works with, kept in its folder:
//
//	authority.pub   who may sign bundles; it never comes over the network
//	trust.bundle    the newest bundle
//	trust.mark      how far the gate has come, so that an old file put back is noticed
type gateTrust struct {
	dir       string
	authority trust.Authority

	mutex  sync.Mutex
	bundle *trust.Bundle
	mark   trust.Mark
	keys   *trust.KeyRing // of the bundle's version of keys
}

// openTrust reads a gate's bundle. One that is missing or damaged is fetched again where there is an
// issuer to ask, and held to the mark all the same. A gate without authority.pub works with keys.json
// alone: nil.
func openTrust(ctx context.Context, dir string, issuer *depot.Client) (*gateTrust, error) {
	authority, err := readAuthority(filepath.Join(dir, "authority.pub"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	t := &gateTrust{dir: dir, authority: authority}
	if err := t.readMark(); err != nil {
		return nil, err
	}
	bundle, err := readBundle(t.path("trust.bundle"), authority)
	if err == nil {
		err = t.take(bundle)
	}
	if err != nil && issuer != nil {
		return t, t.fetchWhole(ctx, issuer, err)
	}
	if err != nil {
		return nil, fmt.Errorf("trust.bundle: %w: copy it from the institution again, or set trust_url", err)
	}
	return t, nil
}

// fetchWhole replaces a bundle that is of no use.
func (t *gateTrust) fetchWhole(ctx context.Context, issuer *depot.Client, why error) error {
	bundle, err := issuer.Trust(ctx, t.authority, nil)
	if err == nil && bundle == nil {
		err = errors.New("the institution has published none")
	}
	if err != nil {
		return fmt.Errorf("trust.bundle: %w; fetched again: %w", why, err)
	}
	if err := t.take(bundle); err != nil {
		return err
	}
	return replaceFile(t.path("trust.bundle"), bundle.Bytes(), 0o644)
}

func (t *gateTrust) path(name string) string { return filepath.Join(t.dir, name) }

func (t *gateTrust) readMark() error {
	content, err := os.ReadFile(t.path("trust.mark"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := json.Unmarshal(content, &t.mark); err != nil {
		return fmt.Errorf("trust.mark: %w", err)
	}
	return nil
}

// take works with a bundle from now on, unless it is older than what the gate has had.
func (t *gateTrust) take(bundle *trust.Bundle) error {
	if err := bundle.Succeeds(t.mark); err != nil {
		return err
	}
	if t.keys == nil || t.bundle.Versions().Keys != bundle.Versions().Keys {
		keys, err := bundle.KeyRing(trust.WindowFast)
		if err != nil {
			return err
		}
		t.keys = keys
	}
	t.bundle, t.mark = bundle, bundle.Mark()
	content, err := json.Marshal(t.mark)
	if err != nil {
		return err
	}
	return replaceFile(t.path("trust.mark"), content, 0o600)
}

// refresh fetches what is newer; true when the gate has to be configured anew.
func (t *gateTrust) refresh(ctx context.Context, client *depot.Client) (bool, error) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	bundle, err := client.Trust(ctx, t.authority, t.bundle)
	if err != nil || bundle == nil {
		return false, err
	}
	if err := bundle.Succeeds(t.mark); err != nil {
		return false, err
	}
	if err := replaceFile(t.path("trust.bundle"), bundle.Bytes(), 0o644); err != nil {
		return false, err
	}
	return true, t.take(bundle)
}

// apply puts what the bundle says into a terminal's settings.
func (t *gateTrust) apply(settings *terminal.Settings) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	settings.Keys = t.keys
	settings.CardTypes = t.bundle.CardTypes()
	settings.Clock = t.bundle.Clock().Policy
	settings.Rules = append([]terminal.Rule{bundleRule{t.bundle}}, settings.Rules...)
}

// current is the bundle of this moment.
func (t *gateTrust) current() *trust.Bundle {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	return t.bundle
}

// bundleRule asks what only a bundle knows: its own age, the issuer behind a card type, the deny list.
type bundleRule struct{ bundle *trust.Bundle }

// Names of the checks of a bundle, in order of precedence.
const (
	checkTrustAge = "trust_age"
	checkValidity = "validity_cap"
	checkIssuer   = "card_issuer"
	checkDenyList = "deny_list"
)

// Ask notes what the bundle says.
func (r bundleRule) Ask(code *ridecode.Code, tap terminal.Tap, now time.Time, trace *ridecode.Trace) {
	if age := r.bundle.Staleness(now); age.Allows(tap.AmountFen) {
		trace.Pass(checkTrustAge, age.State.String())
	} else {
		trace.Fail(checkTrustAge, ridecode.TrustExpired, age.String())
	}
	r.askValidity(code, trace)
	if takes, why := r.bundle.TakesCard(&code.Grant); takes {
		trace.Pass(checkIssuer, "this institution may issue this card")
	} else {
		trace.Fail(checkIssuer, ridecode.CardTypeUnsupported, why)
	}
	card := trust.Card{Type: code.Grant.CardType, No: code.Grant.CardNo}
	if denial, denied := r.bundle.Denied(code.Grant.UserID, card); denied {
		trace.Fail(checkDenyList, ridecode.UserDenied, denial.String())
	} else {
		trace.Pass(checkDenyList, fmt.Sprintf("not on version %d of the list", r.bundle.Versions().DenyList))
	}
}

// A code that claims to hold for hours is a photograph waiting to be shown around.
func (r bundleRule) askValidity(code *ridecode.Code, trace *ridecode.Trace) {
	if most := r.bundle.Clock().ValidCapSec; most > 0 && code.Grant.ValidSec > most {
		trace.Fail(checkValidity, ridecode.QRCodeInfoExpired, fmt.Sprintf("it claims to hold for %d s, and more than %d s is not taken", code.Grant.ValidSec, most))
	}
}
