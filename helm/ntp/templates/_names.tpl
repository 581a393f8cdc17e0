{{/* Names and labels. The release is the project: its name has to be one. */}}

{{- define "ntp.project" -}}
{{- if not (regexMatch "^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$" .Release.Name) -}}
{{- fail (printf "\nthe release's name was %q\nfix: lower-case letters, digits and '-', a letter first, at most 40 characters" .Release.Name) -}}
{{- end -}}
{{- .Release.Name -}}
{{- end -}}

{{/* Give (dict "root" $ "component" "nats"). */}}
{{- define "ntp.name" -}}
{{ include "ntp.project" .root }}-{{ .component }}
{{- end -}}

{{- define "ntp.selector" -}}
app.kubernetes.io/name: ntp
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{/* The same in words, as the controller is told it. */}}
{{- define "ntp.selectorText" -}}
"app.kubernetes.io/name=ntp,app.kubernetes.io/instance={{ .root.Release.Name }},app.kubernetes.io/component={{ .component }}"
{{- end -}}

{{/* Of pods: no version in them, for a change of it would restart all. */}}
{{- define "ntp.podLabels" -}}
{{ include "ntp.selector" . }}
app.kubernetes.io/part-of: {{ .root.Release.Name }}
{{- end -}}

{{- define "ntp.labels" -}}
{{ include "ntp.podLabels" . }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* Give (dict "root" $ "image" "ntp-nats"). */}}
{{- define "ntp.image" -}}
{{- $digest := get .root.Values.image.digests .image -}}
{{- $name := printf "%s/%s" (trimSuffix "/" .root.Values.image.registry) .image -}}
{{- if $digest -}}
{{ $name }}@{{ $digest }}
{{- else -}}
{{ $name }}:{{ .root.Values.image.tag | default .root.Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{- define "ntp.keysSecret" -}}
{{ .Values.nats.keysSecret | default (printf "%s-nats-keys" (include "ntp.project" .)) }}
{{- end -}}

{{- define "ntp.egressSecret" -}}
{{ include "ntp.project" . }}-egress-proxy-seed
{{- end -}}

{{- define "ntp.secret" -}}
{{ .Values.existingSecret | default (printf "%s-secrets" (include "ntp.project" .)) }}
{{- end -}}

{{/* What NTP_NATS says, without the folder of keys. A name of this namespace, whatever that is called. */}}
{{- define "ntp.nats" -}}
{{ .Values.nats.external | default (printf "nats://%s-nats:4222" (include "ntp.project" .)) }}
{{- end -}}

{{/* Rules of a NetworkPolicy for `nats.external`: what is behind a name no policy knows, so `networkPolicy.natsTo` says it. */}}
{{- define "ntp.natsRules" -}}
{{- range .Values.nats.external | trimPrefix "nats://" | splitList "," }}
{{- $host := splitList ":" . | first }}
{{- $port := dict "protocol" "TCP" "port" (splitList ":" . | last | int) }}
{{- if $.Values.networkPolicy.natsTo }}
- {{ toJson (dict "to" $.Values.networkPolicy.natsTo "ports" (list $port)) }}
{{- else if regexMatch "^([0-9]{1,3}[.]){3}[0-9]{1,3}$" $host }}
- {{ toJson (dict "to" (list (dict "ipBlock" (dict "cidr" (printf "%s/32" $host)))) "ports" (list $port)) }}
{{- else }}
- {{ toJson (dict "ports" (list $port)) }}
{{- end }}
{{- end }}
{{- end -}}
