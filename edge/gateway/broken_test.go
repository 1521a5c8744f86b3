package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/shuama/shuama/edge/gateway"
	"github.com/shuama/shuama/protocol/openapi"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/role/codeissuer"
	"github.com/shuama/shuama/role/payment"
	"github.com/shuama/shuama/role/payment/rides"
)

var errAway = errors.New("the database is away")

// brokenRides, and the others, are parts whose store is away.
type brokenRides struct{}

func (brokenRides) Keep(context.Context, []rides.Ride, time.Time) error { return errAway }

type brokenCards struct{}

func (brokenCards) Send(context.Context, codeissuer.AppID, codeissuer.CardMessage, time.Time) (codeissuer.Card, error) {
	return codeissuer.Card{}, errAway
}

func (brokenCards) Query(context.Context, codeissuer.CardQuery) ([]codeissuer.Card, error) {
	return nil, errAway
}

type brokenDenyList struct{}

func (brokenDenyList) DeniedUsers(context.Context, payment.AppID, int, int) ([]ridecode.UserID, error) {
	return nil, errAway
}

type brokenBills struct{}

func (brokenBills) Bill(context.Context, payment.Merchant, gateway.Bill) (*gateway.BillFile, error) {
	return nil, errAway
}

// appsFunc is one app that changes while the gateway runs.
type appsFunc func() gateway.App

func (f appsFunc) App(_ context.Context, id openapi.AppID) (gateway.App, bool, error) {
	app := f()
	return app, payment.AppID(id) == app.ID, nil
}

func openapiCardNo(i int) ridecode.CardNo { return ridecode.CardNo(fmt.Sprintf("c%d", i)) }
