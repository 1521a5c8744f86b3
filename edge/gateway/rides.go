package gateway

import (
	"context"
	"errors"
	"time"

	"github.com/shuama/shuama/protocol/openapi"
	"github.com/shuama/shuama/role/payment/rides"
)

// Rides keeps ride data; *rides.Register is one.
type Rides interface {
	// Keep takes a batch in, as a whole or not at all; a *rides.ConflictError names a number that was told before
	// with other content.
	Keep(ctx context.Context, batch []rides.Ride, now time.Time) error
}

func (s *server) dataSend(ctx context.Context, c call, r openapi.DataSendRequest) (openapi.DataSendResponse, error) {
	if s.Rides == nil {
		return openapi.DataSendResponse{}, errNotOpen()
	}
	batch := make([]rides.Ride, len(r.Rides))
	for i, info := range r.Rides {
		batch[i] = rides.Ride{App: rides.AppID(c.app.ID), Scene: r.SceneCode, Channel: r.Channel, Version: r.Version,
			Target: r.TargetID, TargetType: r.TargetIDType, Info: info}
	}
	if err := s.Rides.Keep(ctx, batch, c.now); err != nil {
		return openapi.DataSendResponse{}, err
	}
	return openapi.DataSendResponse{BizCode: "SUCCESS", BizMsg: "成功"}, nil
}

// asConflict finds a ride that was told before in an error. Its number is the caller's own.
func asConflict(err error) (*openapi.Error, bool) {
	var conflict *rides.ConflictError
	if !errors.As(err, &conflict) {
		return nil, false
	}
	return openapi.Refuse(openapi.SubFail, "biz_no "+conflict.Key.BizNo+" 已用于内容不同的数据，整批未保存"), true
}
