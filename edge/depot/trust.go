package depot

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"github.com/shuama/shuama/protocol/trust"
)

// TrustPath is where the newest trust bundle is fetched: GET ?have=SERIAL. It needs no token: what is
// there is signed, and secret to nobody.
const TrustPath = "/terminal/trust"

// Kinds of document that TrustPath answers with, in kindHeader.
const (
	kindHeader = "Shuama-Document"
	kindBundle = "bundle"
	kindDelta  = "delta"
)

// Bundles is the trust bundles that were published.
type Bundles interface {
	// Newest is the newest bundle; serial 0 when none was published.
	Newest(ctx context.Context) (serial uint64, bundle []byte, err error)
	// Delta leads from the bundle with this serial to the newest one; nil when there is none.
	Delta(ctx context.Context, from uint64) ([]byte, error)
}

// NewTrust makes the handler of TrustPath.
func NewTrust(bundles Bundles) http.Handler {
	return http.HandlerFunc(func(out http.ResponseWriter, request *http.Request) {
		have, err := strconv.ParseUint(request.URL.Query().Get("have"), 10, 63)
		if err != nil {
			http.Error(out, "have: not the serial of a bundle; 0 for none", http.StatusBadRequest)
			return
		}
		kind, document, err := newer(request.Context(), bundles, have)
		if err != nil {
			http.Error(out, "the trust bundle cannot be read now: ask again", http.StatusServiceUnavailable)
			return
		}
		if document == nil {
			out.WriteHeader(http.StatusNoContent)
			return
		}
		out.Header().Set(kindHeader, kind)
		out.Header().Set("Content-Type", "application/octet-stream")
		_, _ = out.Write(document) // who is gone will ask again
	})
}

func newer(ctx context.Context, bundles Bundles, have uint64) (kind string, document []byte, err error) {
	serial, bundle, err := bundles.Newest(ctx)
	if err != nil || serial <= have {
		return "", nil, err
	}
	delta, err := bundles.Delta(ctx, have)
	if err != nil || delta != nil && len(delta) < len(bundle) {
		return kindDelta, delta, err
	}
	return kindBundle, bundle, nil
}

// Trust fetches what is newer than the bundle at hand (nil for none) and verifies it; nil: nothing is.
func (c *Client) Trust(ctx context.Context, authority trust.Authority, have *trust.Bundle) (*trust.Bundle, error) {
	serial := uint64(0)
	if have != nil {
		serial = have.Serial()
	}
	kind, document, err := c.fetch(ctx, fmt.Sprintf("%s%s?have=%d", c.URL, TrustPath, serial))
	if err != nil || document == nil {
		return nil, err
	}
	if kind == kindDelta && have != nil {
		bundle, err := applyDelta(document, authority, have)
		if err == nil {
			return bundle, nil
		}
		// A delta that does not fit will not fit tomorrow: ask for the whole.
		if _, document, err = c.fetch(ctx, fmt.Sprintf("%s%s?have=0", c.URL, TrustPath)); err != nil || document == nil {
			return nil, err
		}
	}
	u, err := trust.Parse(document)
	if err != nil {
		return nil, err
	}
	return u.Verify(authority)
}

func applyDelta(document []byte, authority trust.Authority, have *trust.Bundle) (*trust.Bundle, error) {
	u, err := trust.ParseDelta(document)
	if err != nil {
		return nil, err
	}
	delta, err := u.Verify(authority)
	if err != nil {
		return nil, err
	}
	next, err := delta.Apply(have)
	if err != nil {
		return nil, err
	}
	return next.Verify(authority)
}

func (c *Client) fetch(ctx context.Context, url string) (kind string, document []byte, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", nil, err
	}
	response, err := c.HTTP.Do(request)
	if err != nil {
		return "", nil, err
	}
	defer response.Body.Close()
	switch response.StatusCode {
	case http.StatusNoContent:
		return "", nil, nil
	case http.StatusOK:
		document, err = io.ReadAll(io.LimitReader(response.Body, trust.MaxBundleSize))
		return response.Header.Get(kindHeader), document, err
	}
	return "", nil, fmt.Errorf("depot: %s answers %s", TrustPath, response.Status)
}
