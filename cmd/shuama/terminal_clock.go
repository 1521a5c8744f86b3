package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/shuama/shuama/edge/depot"
)

// uncertaintyMost is how uncertain an answer may be: codes are judged by the second.
const uncertaintyMost = 2 * time.Second

// gateClock is a gate's time: the machine's, moved by what time servers say, as long as they say little.
// Nobody signs what they say, so a large step is told to the keeper and not taken: whoever could set a
// gate's clock could show yesterday's photographs to it.
type gateClock struct {
	machine func() time.Time

	mutex  sync.Mutex
	offset time.Duration
}

// now is the corrected time, UTC.
func (c *gateClock) now() time.Time {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return c.machine().Add(c.offset).UTC()
}

// measure asks the depot, or else a time server, and corrects the clock. The text is for the keeper;
// empty when all is well. most is the largest correction that is taken.
func (c *gateClock) measure(ctx context.Context, client *depot.Client, servers []string, most time.Duration) string {
	offset, uncertainty, err := c.ask(ctx, client, servers)
	switch {
	case err != nil:
		return fmt.Sprintf("clock: nobody to compare with: %v", err)
	case uncertainty > uncertaintyMost:
		return fmt.Sprintf("clock: the answer is uncertain by %s, and is not used", uncertainty.Round(time.Millisecond))
	case offset.Abs() > most:
		return fmt.Sprintf("clock: %s off (± %s), which is more than is corrected silently: set the machine's clock; codes will fail on time",
			offset.Round(time.Millisecond), uncertainty.Round(time.Millisecond))
	}
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.offset = offset
	return ""
}

func (c *gateClock) ask(ctx context.Context, client *depot.Client, servers []string) (offset, uncertainty time.Duration, err error) {
	if client != nil {
		if offset, uncertainty, err = client.Offset(ctx); err == nil {
			return offset, uncertainty, nil
		}
	}
	return depot.AskTime(ctx, servers)
}
