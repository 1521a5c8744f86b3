package depot

import (
	"context"
	"errors"
	"time"

	"github.com/beevik/ntp"
)

// timeServerTimeout bounds one question to one time server.
const timeServerTimeout = 5 * time.Second

// ErrNoTime says that nobody told the time.
var ErrNoTime = errors.New("depot: no time server answers")

// AskTime asks time servers (NTP), one after the other, how far they are ahead of this machine, and how
// wrong that may be at the most. Nobody signs the answer: believe small corrections only.
func AskTime(ctx context.Context, servers []string) (offset, uncertainty time.Duration, err error) {
	for _, server := range servers {
		if ctx.Err() != nil {
			return 0, 0, ctx.Err()
		}
		answer, err := ntp.QueryWithOptions(server, ntp.QueryOptions{Timeout: timeServerTimeout})
		if err == nil && answer.Validate() == nil {
			return answer.ClockOffset, answer.RootDistance, nil
		}
	}
	return 0, 0, ErrNoTime
}
