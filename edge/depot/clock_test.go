package depot_test

import (
	"encoding/binary"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/shuama/shuama/edge/depot"
)

// A time server that is ninety seconds ahead is found behind one that does not answer.
func TestAskTime(t *testing.T) {
	silent, ahead := timeServer(t, 0), timeServer(t, 90*time.Second)
	silent.Close()
	offset, uncertainty, err := depot.AskTime(t.Context(), []string{silent.LocalAddr().String(), ahead.LocalAddr().String()})
	if err != nil || (offset-90*time.Second).Abs() > 5*time.Second || uncertainty < 0 {
		t.Errorf("%s ± %s, %v", offset, uncertainty, err)
	}
	ahead.Close()
	if _, _, err := depot.AskTime(t.Context(), []string{ahead.LocalAddr().String()}); !errors.Is(err, depot.ErrNoTime) {
		t.Errorf("nobody answers, and: %v", err)
	}
}

// timeServer answers as RFC 5905 has it, with a clock that is ahead.
func timeServer(t *testing.T, ahead time.Duration) *net.UDPConn {
	t.Helper()
	server, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	go func() {
		question := make([]byte, 512)
		for {
			size, from, err := server.ReadFromUDP(question)
			if err != nil || size < 48 {
				return
			}
			answer := make([]byte, 48)
			answer[0], answer[1], answer[3] = 4<<3|4, 1, 0xec // version 4, server; stratum 1; precision 2^-20
			copy(answer[24:32], question[40:48])
			for _, at := range []int{16, 32, 40} {
				binary.BigEndian.PutUint64(answer[at:], ntpTime(time.Now().Add(ahead)))
			}
			_, _ = server.WriteToUDP(answer, from)
		}
	}()
	return server
}

func ntpTime(t time.Time) uint64 {
	const from1900to1970 = 2_208_988_800
	return uint64(t.Unix()+from1900to1970)<<32 | uint64(t.Nanosecond())<<32/1e9
}
