package main

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/shuama/shuama/edge/gateway"
	"github.com/shuama/shuama/protocol/openapi"
	"github.com/shuama/shuama/protocol/trust"
	"github.com/shuama/shuama/role/merchant"
)

// runningServer is the gateway of the story, on a real port over a real file.
type runningServer struct {
	books   *books
	address string
	cancel  context.CancelFunc
	ended   chan error
}

// serve starts the gateway on a listener.
func (s *story) serve(listener net.Listener) error {
	s.home.sealer = s.sealer
	b, err := s.home.openBooks(s.outer.context, bookFlags{}, trust.WindowFast, s.outer.now())
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	handler, err := s.home.gateway(s.quiet(), b, gateway.Config{}, "http://"+listener.Addr().String())
	if err != nil {
		return errors.Join(err, listener.Close(), b.Close())
	}
	ctx, cancel := context.WithCancel(s.outer.context)
	s.server = &runningServer{books: b, address: listener.Addr().String(), cancel: cancel, ended: make(chan error, 1)}
	go func() { s.server.ended <- serve(ctx, gateway.NewHTTPServer("", handler), listener) }()
	return nil
}

// serveAgain starts it at its old address, from what is on disk.
func (s *story) serveAgain() error {
	listener, err := net.Listen("tcp", s.server.address)
	if err != nil {
		return err
	}
	return s.serve(listener)
}

// stop ends the gateway and closes its books.
func (r *runningServer) stop() error {
	r.cancel()
	return errors.Join(<-r.ended, r.books.Close())
}

func (s *story) close() error {
	for _, gate := range s.gates {
		gate.journal.Close()
	}
	if s.server == nil {
		return nil
	}
	s.server.cancel()
	return nil
}

// remembering is a Settler that keeps what it sent, so that the story can send it once more.
type remembering struct {
	merchant.Settler
	sent []openapi.Trade
}

// Settle sends and remembers.
func (r *remembering) Settle(ctx context.Context, trades []openapi.Trade) ([]openapi.TradeResult, error) {
	results, err := r.Settler.Settle(ctx, trades)
	if err == nil {
		r.sent = append(r.sent, trades...)
	}
	return results, err
}

// resend asks for the same trades again, and for one of them with another amount; the answer to that
// one comes back.
func (s *story) resend(trades []openapi.Trade) (string, error) {
	client, err := s.client()
	if err != nil {
		return "", err
	}
	results, err := client.Settle(s.outer.context, trades)
	if err != nil {
		return "", err
	}
	for i, result := range results {
		if result.Outcome != openapi.OutcomeSuccess || result.TradeNo != s.numbers[trades[i].OutTradeNo] {
			return "", fmt.Errorf("trade %s was settled, and now: %+v", trades[i].OutTradeNo, result)
		}
	}
	changed := trades[0]
	changed.AmountFen++
	if results, err = client.Settle(s.outer.context, []openapi.Trade{changed}); err != nil {
		return "", err
	}
	if results[0].Outcome != openapi.OutcomeFail {
		return "", fmt.Errorf("other content under a settled number: %+v", results[0])
	}
	return results[0].ErrorCode, nil
}
