package depot

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// Client is a terminal's way to its depot.
type Client struct {
	URL   string // of the depot, without a path
	Token string
	HTTP  *http.Client // with a timeout
	Now   func() time.Time
}

// Upload brings records. A nil error means that the merchant has all of them; after any other, bring
// the same ones again.
func (c *Client) Upload(ctx context.Context, records [][]byte) (Receipt, error) {
	body, err := framesOf(records)
	if err != nil {
		return Receipt{}, err
	}
	var receipt Receipt
	if err := c.call(ctx, http.MethodPost, RecordsPath, body, &receipt); err != nil {
		return Receipt{}, err
	}
	if receipt.Count != len(records) {
		return Receipt{}, fmt.Errorf("depot: %d records brought, %d acknowledged", len(records), receipt.Count)
	}
	return receipt, nil
}

// Offset is how far the depot's clock is ahead of the terminal's, with the half of the way there and
// back as its uncertainty.
func (c *Client) Offset(ctx context.Context) (offset, uncertainty time.Duration, err error) {
	sent := c.Now()
	var clock Clock
	if err := c.call(ctx, http.MethodGet, ClockPath, nil, &clock); err != nil {
		return 0, 0, err
	}
	arrived := c.Now()
	half := arrived.Sub(sent) / 2
	return time.UnixMilli(clock.UnixMilli).Sub(sent.Add(half)), half, nil
}

func (c *Client) call(ctx context.Context, method, path string, body []byte, into any) error {
	request, err := http.NewRequestWithContext(ctx, method, c.URL+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+c.Token)
	response, err := c.HTTP.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(io.LimitReader(response.Body, maxAnswerSize))
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("depot: %s: %.200s", response.Status, strings.TrimSpace(string(content)))
	}
	return json.Unmarshal(content, into)
}
