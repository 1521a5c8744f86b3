package conformance

import (
	"time"

	"github.com/shuama/shuama/protocol/ridecode"
)

// The time must be inside what the phone signed.
func timeRange() group {
	timed := func(name, about, check string, change func(*forge, *draft)) recipe {
		return malformed(name, clausePhone, about, check, change)
	}
	old := func(f *forge) *draft { return f.draftAt(f.grant(), f.at.Add(-24*time.Hour)) }
	return group{"time-range", "the generation time outside the signed range", "a code that was once seen or photographed is good for ever: its time is written anew", []recipe{
		timed("yesterday-as-now", "yesterday's code with the present moment written into it", ridecode.CheckUserSignature, func(f *forge, d *draft) { d.proof = old(f).proof }),
		timed("one-second-later", "a code dated a second later than signed", ridecode.CheckUserSignature, func(f *forge, d *draft) { d.times = unix(f.at.Add(time.Second)) }),
		timed("signed-up-to-the-grant", "the phone signed everything up to the institution signature, and not the time", ridecode.CheckUserSignature,
			func(f *forge, d *draft) { d.proof = must(f.phone.SignDER(hash(d.appendGrant(nil)))) }),
		timed("signed-up-to-the-length", "the phone signed everything up to the length in front of the time", ridecode.CheckUserSignature,
			func(f *forge, d *draft) {
				d.proof = must(f.phone.SignDER(hash(append(d.appendGrant(nil), d.timeLength))))
			}),
		timed("second-time-inside", "user data of 8 bytes: yesterday's time, which the phone signed, and the present one behind it", ridecode.CheckForm, func(f *forge, d *draft) {
			yesterday := old(f)
			d.proof, d.times, d.timeLength = yesterday.proof, append(yesterday.times, d.times...), 8
		}),
		timed("second-time-in-front", "user data of 8 bytes: the present time in front of yesterday's; signed by nobody", ridecode.CheckForm, func(f *forge, d *draft) {
			d.times, d.timeLength = append(d.times, old(f).times...), 8
		}),
		timed("second-time-behind", "yesterday's code, with a second user data of the present moment behind its signature", ridecode.CheckForm, func(f *forge, d *draft) {
			yesterday := old(f)
			d.tail = append(append([]byte{4}, d.times...), append([]byte{byte(len(d.proof))}, d.proof...)...)
			d.times, d.proof = yesterday.times, yesterday.proof
		}),
	}}
}

// refused is a genuine code that came too early or too late.
func refused(name, clause, about, allows string, expect ridecode.Verdict, check string, draft func(*forge) *draft) recipe {
	return recipe{name: name, clause: clause, about: about, allows: allows, expect: expect, check: check, code: func(f *forge) []byte { return draft(f).bytes() }}
}

func clocks() group {
	shown := func(seconds int64) func(*forge) *draft {
		return func(f *forge) *draft { return f.draftAt(f.grant(), f.at.Add(time.Duration(seconds)*time.Second)) }
	}
	ends := func(seconds int64) func(*forge) *draft {
		return func(f *forge) *draft {
			g := f.grant()
			g.Expires = f.at.Add(time.Duration(seconds) * time.Second)
			return f.draft(g)
		}
	}
	const photographed, kept, hours = "a photograph of a code is good for longer than it should be", "a grant that is over is still good", 8 * 60 * 60
	accepted, over, info := ridecode.Success, ridecode.QRCodeKeyExpired, ridecode.QRCodeInfoExpired
	honest := func(r recipe) recipe { r.allows = "nothing, but honest riders are turned away"; return r }
	return group{"clock", "clocks that are wrong, and codes at the edges of their time", photographed, []recipe{
		honest(refused("last-second", clauseGrant, "600 s after it was shown, its last second", "", accepted, "", shown(-600))),
		refused("one-second-over", clauseGrant, "601 s after it was shown", photographed, info, ridecode.CheckCodeTime, shown(-601)),
		refused("a-day-over", clauseGrant, "a day after it was shown", photographed, info, ridecode.CheckCodeTime, shown(-24*60*60)),
		honest(refused("future-20", clauseClock+", terminal-facts R10", "the phone is 20 s ahead, which is tolerated", "", accepted, "", shown(20))),
		refused("future-21", clauseClock+", terminal-facts R10", "shown 21 s in the future", "codes are made in advance and handed out", info, ridecode.CheckCodeTime, shown(21)),
		refused("ahead-8-hours", clauseProof, "shown 8 hours in the future: Beijing time written as UTC", "codes are made 8 hours in advance and handed out", info, ridecode.CheckCodeTime, shown(hours)),
		refused("behind-8-hours", clauseProof, "shown 8 hours ago: a reader that mistakes UTC for Beijing time takes it for fresh", "a photograph is good for 8 hours", info, ridecode.CheckCodeTime, shown(-hours)),
		refused("behind-7h55", clauseProof, "shown 7 hours and 55 minutes ago", "a photograph is good for 8 hours", info, ridecode.CheckCodeTime, shown(-hours+300)),
		refused("time-0", clauseProof, "shown in 1970: a phone without a clock", photographed, info, ridecode.CheckCodeTime, func(f *forge) *draft { return f.draftAt(f.grant(), time.Unix(0, 0)) }),
		refused("time-largest", clauseProof, "shown at ffffffff: validity added to it runs over in 32 bits, and as a signed number it is before 1970", "one code is good for ever", info, ridecode.CheckCodeTime,
			func(f *forge) *draft { return f.draftAt(f.grant(), time.Unix(1<<32-1, 0)) }),
		refused("time-2038", clauseProof, "shown at 80000000, in 2038", "codes are made in advance and handed out", info, ridecode.CheckCodeTime, func(f *forge) *draft { return f.draftAt(f.grant(), time.Unix(1<<31, 0)) }),
		honest(refused("grant-last-second", clauseGrant, "the last second of the grant", "", accepted, "", ends(0))),
		refused("grant-one-second-over", clauseGrant, "the grant ended a second ago", kept, over, ridecode.CheckAuthorizationTime, ends(-1)),
		refused("grant-8-hours-over", clauseGrant, "the grant ended 7 hours 59 minutes ago: over in UTC, good for a reader that mistakes it for Beijing time", kept, over, ridecode.CheckAuthorizationTime, ends(-hours+60)),
		refused("grant-expiry-0", clauseGrant, "an expiry of 0, which is no \"never\"", kept, over, ridecode.CheckAuthorizationTime, func(f *forge) *draft {
			g := f.grant()
			g.Expires = time.Unix(0, 0)
			return f.draft(g)
		}),
		refused("validity-0", clauseGrant, "a validity of 0 s, two seconds after it was shown: 0 is no \"for ever\"", photographed, info, ridecode.CheckCodeTime, func(f *forge) *draft {
			g := f.grant()
			g.ValidSec = 0
			return f.draftAt(g, f.at.Add(-2*time.Second))
		}),
	}}
}
