package depot

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/shuama/shuama/edge/scan"
	"github.com/shuama/shuama/role/merchant"
)

// OnlinePath settles one record while its rider waits: POST one frame; JSON out.
const OnlinePath = "/terminal/online"

// Online settles a record at once: *merchant.Merchant does.
type Online interface {
	SettleNow(ctx context.Context, raw []byte, now time.Time) (merchant.Trade, error)
}

// Decision is what became of an online trade.
type Decision struct {
	State  merchant.TradeState `json:"state"` // SETTLED: open; FAILED: do not; SENT: nobody can say yet
	Reason string              `json:"reason,omitempty"`
}

// online answers a gate that waits. Whatever it answers, the record is the merchant's from then on.
func (d *depot) online(out http.ResponseWriter, request *http.Request) {
	if !d.known(request) {
		http.Error(out, "this terminal shows no token of this merchant: set upload_token", http.StatusUnauthorized)
		return
	}
	raw, err := scan.ReadFramed(http.MaxBytesReader(out, request.Body, scan.MaxPayloadSize+2))
	if err != nil {
		http.Error(out, "not one record in a frame", http.StatusBadRequest)
		return
	}
	trade, err := d.config.Online.SettleNow(request.Context(), raw, d.config.Now().UTC())
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
