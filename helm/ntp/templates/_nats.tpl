{{/* As orchestrator/bus/embedded.py sets its own; a test has the controller's demands look at it. */}}
{{- define "ntp.natsConfiguration" -}}
server_name: $POD_NAME
listen: "0.0.0.0:4222"
# For probes: no NetworkPolicy lets anybody else in.
http: "0.0.0.0:8222"
pid_file: "/run/nats/pid"
include "keys/operator.conf"
resolver: {
  type: full
  dir: "/data/accounts"
  allow_delete: true
}
jetstream: {
  store_dir: "/data/store"
  # An acknowledged signal survives a power cut.
  sync_interval: always
  max_memory_store: {{ include "ntp.bytes" .Values.nats.memoryStore }}
  # A full store is no full volume.
  max_file_store: {{ div (mul (include "ntp.bytes" .Values.nats.storage.size | int64) 9) 10 }}
}
max_payload: 4194304
# What a slow plugin may have waiting before it is cut off.
max_pending: 16777216
write_deadline: "5s"
ping_interval: "5s"
ping_max: 2
authorization: { timeout: 5 }
max_connections: 65536
lame_duck_grace_period: "1s"
lame_duck_duration: "30s"
logtime: true
{{- $replicas := int .Values.nats.replicas }}
{{- if gt $replicas 1 }}
cluster: {
  name: {{ .Release.Name | quote }}
  listen: "0.0.0.0:6222"
  no_advertise: true
  # Where the others are, and what they show each other: a route has a password in it.
  include "keys/routes.conf"
}
{{- end }}
{{ end -}}

{{/*
Servers that do not find each other are one each, and nobody is told: a Secret without their routes is refused.
Where Helm only renders it sees no Secret, and one that is not there yet is made with routes.
*/}}
{{- define "ntp.routed" -}}
{{- $secret := include "ntp.keysSecret" . -}}
{{- with lookup "v1" "Secret" .Release.Namespace $secret -}}
{{- $told := dig "data" "routes.conf" "" . | b64dec -}}
{{- range $number := until (int $.Values.nats.replicas) -}}
{{- $name := include "ntp.name" (dict "root" $ "component" "nats") -}}
{{- $server := printf "%s-%d.%s-servers" $name $number $name -}}
{{- if not (contains (printf "@%s" $server) $told) -}}
{{- fail (printf "\nSecret %q has no route to %s:6222 in routes.conf: servers of `nats.replicas` 3 would not find each other\nfix: put routes into it (docs/kubernetes.md#three-servers), or leave `nats.replicas` at 1" $secret $server) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Bytes of a quantity such as 8Gi. */}}
{{- define "ntp.bytes" -}}
{{- $number := regexFind "^[0-9]+" . | int64 -}}
{{- $unit := regexFind "[A-Za-z]*$" . -}}
{{- $factors := dict "" 1 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 "k" 1000 "M" 1000000 "G" 1000000000 "T" 1000000000000 -}}
{{- if not (hasKey $factors $unit) -}}
{{- fail (printf "\n%q is no size\nfix: write a whole number and Mi, Gi or Ti, as in 8Gi" .) -}}
{{- end -}}
{{ mul $number (get $factors $unit | int64) }}
{{- end -}}
