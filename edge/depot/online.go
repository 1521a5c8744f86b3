package depot

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/shuama/shuama/edge/scan"
	"github.com/shuama/shuama/role/merchant"
)

// Where online trades are decided, and taken back.
const (
	OnlinePath = "/terminal/online" // POST one record in a frame, while its rider waits; JSON out
	ShutPath   = "/terminal/shut"   // POST frames of records whose gate stayed shut; JSON out
)

// Online settles a record at once: *merchant.Merchant does.
type Online interface {
	SettleNow(ctx context.Context, raw []byte, now time.Time) (merchant.Trade, error)
	Shut(ctx context.Context, batch [][]byte, now time.Time) (charged []int, err error)
}

// Taken answers ShutPath: all Count records are known to be no rides.
type Taken struct {
	Count   int   `json:"count"`
	Charged []int `json:"charged,omitempty"` // places in the upload whose riders may have been charged
}

// shut takes records back.
func (d *depot) shut(out http.ResponseWriter, request *http.Request) {
	if !d.known(request) {
		http.Error(out, "this terminal shows no token of this merchant: its upload.token must be the merchant's depot.token", http.StatusUnauthorized)
		return
	}
	batch, err := readUpload(http.MaxBytesReader(out, request.Body, maxUploadSize))
	if err != nil {
		http.Error(out, err.Error(), http.StatusBadRequest)
		return
	}
	charged, err := d.config.Online.Shut(request.Context(), batch, d.config.Now().UTC())
	if err != nil {
		d.config.Logger.Error("records could not be taken back", "count", len(batch), "err", err)
		http.Error(out, "the records could not be stored now: send them again", http.StatusServiceUnavailable)
		return
	}
	if len(charged) > 0 {
		d.config.Logger.Warn("riders may have been charged at a gate that stayed shut: refund them", "count", len(charged))
	}
	answer(out, Taken{Count: len(batch), Charged: charged})
}

// Shut tells the merchant of records whose gate stayed shut. After an error, tell the same ones again.
func (c *Client) Shut(ctx context.Context, records [][]byte) (Taken, error) {
	body, err := framesOf(records)
	if err != nil {
		return Taken{}, err
	}
	var taken Taken
	if err := c.call(ctx, http.MethodPost, ShutPath, body, &taken); err != nil {
		return Taken{}, err
	}
	if taken.Count != len(records) {
		return Taken{}, fmt.Errorf("depot: %d records told, %d acknowledged", len(records), taken.Count)
	}
	return taken, nil
}

func framesOf(records [][]byte) (body []byte, err error) {
	for _, raw := range records {
		if body, err = scan.AppendFramed(body, raw); err != nil {
			return nil, err
		}
	}
	return body, nil
}

// Decision is what became of an online trade.
type Decision struct {
	State  merchant.TradeState `json:"state"` // SETTLED, FREE: open; FAILED: do not; SENT: nobody can say yet
	Reason string              `json:"reason,omitempty"`
}

// online answers a gate that waits. Whatever it answers, the record is the merchant's from then on.
func (d *depot) online(out http.ResponseWriter, request *http.Request) {
	if !d.known(request) {
		http.Error(out, "this terminal shows no token of this merchant: its upload.token must be the merchant's depot.token", http.StatusUnauthorized)
		return
	}
	raw, err := scan.ReadFramed(http.MaxBytesReader(out, request.Body, scan.MaxPayloadSize+2))
	if err != nil {
		http.Error(out, "not one record in a frame", http.StatusBadRequest)
		return
	}
	trade, err := d.settleNow(request.Context(), raw)
	switch {
	case errors.Is(err, merchant.ErrNotOnline):
		http.Error(out, err.Error(), http.StatusUnprocessableEntity)
	case err != nil:
		d.config.Logger.Error("an online trade could not be decided", "err", err)
		http.Error(out, "this trade cannot be decided now", http.StatusServiceUnavailable)
	default:
		d.config.Logger.Info("online trade", "state", string(trade.State))
		answer(out, Decision{State: trade.State, Reason: trade.Reason})
	}
}

// askAgainWithin is how soon the payment institution may want to be asked again for a gate to wait for it: it
// waits for its rider's password, say.
const askAgainWithin = 10 * time.Second

// settleNow asks until there is an answer, while the gate waits and one may come soon.
func (d *depot) settleNow(ctx context.Context, raw []byte) (merchant.Trade, error) {
	for {
		trade, err := d.config.Online.SettleNow(ctx, raw, d.config.Now().UTC())
		wait := trade.NextTry.Sub(d.config.Now())
		if err != nil || trade.State != merchant.Sent || wait > askAgainWithin {
			return trade, err
		}
		timer := time.NewTimer(max(wait, time.Second/4))
		select {
		case <-ctx.Done():
			timer.Stop()
			return trade, nil
		case <-timer.C:
		}
	}
}

// Decide asks for the trade of a record while its rider waits, until ctx ends.
func (c *Client) Decide(ctx context.Context, raw []byte) (Decision, error) {
	body, err := scan.AppendFramed(nil, raw)
	if err != nil {
		return Decision{}, err
	}
	var decision Decision
	if err := c.call(ctx, http.MethodPost, OnlinePath, body, &decision); err != nil {
		return Decision{}, err
	}
	return decision, nil
}
