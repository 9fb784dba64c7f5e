# SPDX-License-Identifier: MIT
# Completion of drover(1) for bash; what there is says the program itself.

# The commands that begin with these words, one line each.
_drover_commands()
{
	drover --help 2>/dev/null | sed -n 's/^  \([a-z][a-z ]*[a-z]\) .*/\1/p' |
		sed 's/ *$//'
}

# What may stand for a word of the usage, such as VM.
_drover_names()
{
	case $1 in
	VM) drover vm list --json ;;
	JOB) drover job list --json ;;
	NIC) drover nic list --json ;;
	HOST) drover host show --json ;;
	esac 2>/dev/null | case $1 in
	JOB) sed -n 's/.*"id": *"\([^"]*\)".*/\1/p' ;;
	*) grep -o '"name": *"[^"]*"' | sed 's/.*"\([^"]*\)"$/\1/' ;;
	esac
}

_drover()
{
	local word=${COMP_WORDS[COMP_CWORD]} before=() known usage w n
	local i

	for ((i = 1; i < COMP_CWORD; i++)); do
		w=${COMP_WORDS[i]}
		case $w in
		-S | --socket) i=$((i + 1)) ;;
		-*) ;;
		*) before+=("$w") ;;
		esac
	done
	if [[ $word == -* ]]; then
		known=$(drover "${before[@]:0:2}" --help 2>/dev/null |
			grep -oE '(^| )--?[A-Za-z][a-z-]*')
		mapfile -t COMPREPLY < <(compgen -W "$known" -- "$word")
		return
	fi
	n=${#before[@]}
	known=$(_drover_commands | awk -v n="$n" -v given="${before[*]}" '
		n == 0 || substr($0, 1, length(given) + 1) == given " " { print $(n + 1) }')
	if [[ -z $known ]]; then
		# "Usage: drover vm show [OPTION]... VM" and the like.
		usage=$(drover "${before[@]:0:2}" --help 2>/dev/null |
			sed -n '1s/^Usage: drover //p' | grep -oE '\b[A-Z]+\b' | grep -v OPTION)
		for w in "${before[@]}"; do
			[[ $(_drover_commands) == *"$w"* ]] && n=$((n - 1))
		done
		known=$(_drover_names "$(sed -n "$((n + 1))p" <<<"$usage")")
	fi
	mapfile -t COMPREPLY < <(compgen -W "$known" -- "$word")
}
complete -F _drover -o default drover
