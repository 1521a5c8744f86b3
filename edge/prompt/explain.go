package prompt

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/shuama/shuama/protocol/record"
	"github.com/shuama/shuama/protocol/ridecode"
	"github.com/shuama/shuama/role/terminal"
)

// Explain is the prompt of a trace: Of its verdict, told apart where one number stands for several
// faults (document 2 §4.1.5), and with a Detail where the trace has a figure that helps the rider. now
// is the moment at which the code was judged.
func Explain(trace *ridecode.Trace, kind record.Kind, now time.Time) Prompt {
	verdict := trace.Verdict()
	failed := firstFailed(trace)
	p := situationOfCheck(failed, situationOf(verdict, kind)).prompt(verdict)
	p.Reason = trace.Reason()
	p.Chinese.Detail, p.English.Detail = detail(failed, now)
	return p
}

func firstFailed(trace *ridecode.Trace) ridecode.Check {
	for _, check := range trace.Checks {
		if !check.OK {
			return check
		}
	}
	return ridecode.Check{OK: true}
}

// situationOfCheck looks at the check behind the number. "I cannot tell", as with a key that is not
// known, is never told as a fault of the rider's.
func situationOfCheck(failed ridecode.Check, otherwise situation) situation {
	switch failed.Name {
	case ridecode.CheckForm:
		return noRideCode
	case ridecode.CheckKey:
		return keyUnknown
	case ridecode.CheckCodeTime:
		if _, ahead := aheadSec(failed.Why); ahead {
			return clockAhead
		}
	}
	return otherwise
}

// detail is empty where the trace has no figure for the rider.
func detail(failed ridecode.Check, now time.Time) (chinese, english string) {
	switch failed.Name {
	case ridecode.CheckCodeTime:
		return codeTimeDetail(failed.Why)
	case ridecode.CheckAuthorizationTime:
		return authorizationDetail(failed.Why, now)
	case terminal.CheckAmount:
		return amountDetail(failed.Why)
	case terminal.CheckRider:
		return riderDetail(failed.Why)
	}
	return "", ""
}

// longExpiredSec is an age at which a clock is as likely at fault as a code that was shown too late.
const longExpiredSec = 10 * 60

func codeTimeDetail(why string) (chinese, english string) {
	if sec, ok := aheadSec(why); ok {
		zh, en := spans(sec)
		return "手机时间比闸机快" + zh + ",请打开自动时间后再刷。",
			"The phone's clock is " + en + " ahead of the gate's. Please set it to automatic time and scan again."
	}
	sec, ok := tooOldSec(why)
	if !ok {
		return "", ""
	}
	zh, en := spans(sec)
	chinese, english = "乘车码已过期"+zh+",请刷新后再刷。", "The code expired "+en+" ago. Please refresh it and scan again."
	if sec > longExpiredSec {
		chinese += "如果还不行,请看手机时间对不对。"
		english += " If that does not help, check the phone's clock."
	}
	return chinese, english
}

func authorizationDetail(why string, now time.Time) (chinese, english string) {
	ended, ok := endOfAuthorization(why)
	if !ok || !ended.Before(now) {
		return "", ""
	}
	zh, en := spans(now.Unix() - ended.Unix())
	return "乘车码的授权已过期" + zh + ",请打开手机网络,刷新乘车码后再刷。",
		"The authorization ended " + en + " ago. Please go online with the phone and scan again."
}

func amountDetail(why string) (chinese, english string) {
	fare, limit, ok := strings.Cut(why, " yuan is over the single-trade limit of ")
	limit, isYuan := strings.CutSuffix(limit, " yuan")
	if !ok || !isYuan {
		return "", ""
	}
	return "车费" + fare + "元,超过此码的限额" + limit + "元,请用别的方式付款。",
		"The fare of " + fare + " yuan is over this code's limit of " + limit + " yuan. Please pay in another way."
}

func riderDetail(why string) (chinese, english string) {
	sec, ok := between(why, "the same rider came less than ", " s ago")
	if !ok {
		return "", ""
	}
	zh, en := spans(sec)
	return "刷码太快,请等" + zh + "后再刷。", "Too soon. Please wait " + en + " and scan again."
}

// The figures are in a trace's sentences alone; these know where. Other wording costs the detail, and
// the tests that read traces of real codes.

func aheadSec(why string) (int64, bool) { return between(why, "shown ", " s in the future") }

func tooOldSec(why string) (int64, bool) {
	i := strings.LastIndex(why, ", ")
	return between(why[i+1:], " ", " s too old")
}

func between(text, before, after string) (int64, bool) {
	rest, ok := strings.CutPrefix(text, before)
	number, _, closed := strings.Cut(rest, after)
	n, err := strconv.ParseInt(number, 10, 64)
	return n, ok && closed && err == nil && n > 0
}

func endOfAuthorization(why string) (time.Time, bool) {
	text, ok := strings.CutPrefix(why, "the authorization ended at ")
	ended, err := time.Parse(time.RFC3339, text)
	return ended, ok && err == nil
}

// spans is a length of time as people say it, rounded down, in both languages.
func spans(sec int64) (chinese, english string) {
	for _, unit := range [...]struct {
		sec    int64
		zh, en string
	}{{24 * 3600, "天", "day"}, {3600, "小时", "hour"}, {60, "分钟", "minute"}, {1, "秒", "second"}} {
		n := sec / unit.sec
		if n == 0 {
			continue
		}
		if english = fmt.Sprintf("%d %s", n, unit.en); n > 1 {
			english += "s"
		}
		return fmt.Sprintf("%d%s", n, unit.zh), english
	}
	return "不到1秒", "less than a second"
}
