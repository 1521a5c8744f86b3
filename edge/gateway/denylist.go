package gateway

import (
	"context"

	"github.com/shuama/shuama/protocol/openapi"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/role/payment"
)

// DenyList is the users that gates turn away (黑名单).
type DenyList interface {
	// DeniedUsers gives at most count users behind the first skip, in an order that stays while the list does.
	// Every gate of a city needs the whole list, whoever put a user on it; app is who asks.
	DeniedUsers(ctx context.Context, app payment.AppID, skip, count int) ([]ridecode.UserID, error)
}

func (s *server) denyListQuery(ctx context.Context, c call, r openapi.DenyListRequest) (openapi.DenyListResponse, error) {
	if s.DenyList == nil {
		return openapi.DenyListResponse{}, errNotOpen()
	}
	users, err := s.DenyList.DeniedUsers(ctx, c.app.ID, int((r.PageIndex-1)*r.PageSize), int(r.PageSize))
	return openapi.DenyListResponse{Users: users}, err
}
