// Package prompt is 提示: how a gate answers a rider, with words, voice, lamp and sound.
//
// There is a Prompt for every verdict of a gate: Of tells it from the verdict, Explain from the trace,
// which knows more: whose clock is wrong and by how much, and what the rider can do about it. Voice
// speaks a prompt, Hook runs the command that opens the gate.
//
// What is said aloud at a gate is heard by everybody who stands there: no prompt says that a rider is
// on a list, owes money or may have forged a code.
package prompt

import (
	"github.com/shuama/shuama/protocol/record"
	"github.com/shuama/shuama/protocol/ridecode"
)

// Lamp is the colour that a gate shows.
type Lamp string

// The lamps.
const (
	Green  Lamp = "green"  // the gate opens; no other prompt is green
	Yellow Lamp = "yellow" // the rider can help: refresh the code, go online, wait
	Red    Lamp = "red"    // not with this code, or not at this gate
)

// Language is one in which prompts are spoken and shown.
type Language string

// The languages. Tone is that of the beeps: a prompt's Sound.
const (
	Chinese Language = "zh"
	English Language = "en"
	Tone    Language = "tone"
)

// Words are a prompt in one language.
type Words struct {
	Screen string // for a small display: at most 24 letters of English, 10 characters of Chinese
	Voice  string // what the prepared clip says
	Detail string // from the trace: by how much, and what to do, as one or two sentences; often empty
}

// Spoken is what a voice that can say anything says.
func (w Words) Spoken() string {
	if w.Detail != "" {
		return w.Detail
	}
	return w.Voice
}

// Prompt is a gate's answer to a rider.
type Prompt struct {
	Verdict ridecode.Verdict // 0: of Unreadable
	Lamp    Lamp
	Sound   Sound
	Chinese Words
	English Words
	Reason  string // for the staff: the first check that failed; empty without a trace

	clip string // names the prepared clip
}

// In is the prompt's words in a language; those of no other language than Chinese and English.
func (p Prompt) In(language Language) Words {
	switch language {
	case Chinese:
		return p.Chinese
	case English:
		return p.English
	}
	return Words{}
}

// Of is the prompt of a verdict. The kind of gate decides what an accepted rider is told: to board, to
// enter or to leave; a kind that is not known boards. A verdict that is not known is the gate's fault.
func Of(verdict ridecode.Verdict, kind record.Kind) Prompt {
	return situationOf(verdict, kind).prompt(verdict)
}

// Unreadable is the prompt for a scan that gave no bytes, before there is a verdict.
func Unreadable() Prompt { return unreadable.prompt(0) }

// situation is what a rider stands in. Several verdicts can be one: which part of a gate is broken is
// nothing to a rider.
type situation int

const (
	gateFault situation = iota // the zero value opens nothing
	board
	enter
	leave
	unreadable
	noRideCode
	notValid
	expired
	clockAhead
	authorizationOver
	keyUnknown
	overLimit
	cardNotTaken
	cardData
	versionUnknown
	repeated
	notServed
	denied
	tooSoon
	refusedOnline
	notReady
)

func situationOf(verdict ridecode.Verdict, kind record.Kind) situation {
	if verdict == ridecode.Success {
		switch kind {
		case record.Entry:
			return enter
		case record.Exit:
			return leave
		}
		return board
	}
	return situationsOfRefusals()[verdict]
}

// situationsOfRefusals leaves out what is gateFault.
func situationsOfRefusals() map[ridecode.Verdict]situation {
	return map[ridecode.Verdict]situation{
		ridecode.MalformedQRCode:        notValid,
		ridecode.QRCodeInfoExpired:      expired,
		ridecode.QRCodeKeyExpired:       authorizationOver,
		ridecode.QuotaExceeded:          overLimit,
		ridecode.CardTypeUnsupported:    cardNotTaken,
		ridecode.NotInitialized:         notReady,
		ridecode.ProtoUnsupported:       versionUnknown,
		ridecode.QRCodeDuplicated:       repeated,
		ridecode.InstitutionUnsupported: notServed,
		ridecode.UserDenied:             denied,
		ridecode.CardDataInvalid:        cardData,
		ridecode.RiderTooSoon:           tooSoon,
		ridecode.OnlineRefused:          refusedOnline,
		ridecode.TrustExpired:           notReady,
	}
}

func (s situation) prompt(verdict ridecode.Verdict) Prompt {
	row := table()[s]
	return Prompt{Verdict: verdict, Lamp: row.lamp, Sound: row.sound, clip: row.clip,
		Chinese: Words{Screen: row.screenZH, Voice: row.voiceZH}, English: Words{Screen: row.screenEN, Voice: row.voiceEN}}
}
